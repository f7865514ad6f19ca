FROM local/busybox
VOLUME ["/a"]
