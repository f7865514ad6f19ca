FROM local/busybox
VOLUME
