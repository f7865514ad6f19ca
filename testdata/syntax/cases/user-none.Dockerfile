FROM local/busybox
USER
