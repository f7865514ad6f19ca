# a \
FROM local/busybox
