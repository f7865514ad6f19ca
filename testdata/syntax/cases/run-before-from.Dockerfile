RUN true
FROM local/busybox
