FROM local/busybox
USER a:b
