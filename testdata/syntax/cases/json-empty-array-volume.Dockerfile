FROM local/busybox
VOLUME []
