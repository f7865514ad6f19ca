# check=skip=all
# check=skip=all
FROM local/busybox
