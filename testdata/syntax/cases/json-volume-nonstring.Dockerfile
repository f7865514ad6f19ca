FROM local/busybox
VOLUME [1]
