# check=skip=NoSuchRule;error=true
FROM local/busybox
