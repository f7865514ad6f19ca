\
FROM local/busybox
