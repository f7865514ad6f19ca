FROM local/busybox
WORKDIR
