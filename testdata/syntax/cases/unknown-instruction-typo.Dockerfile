FROM local/busybox
RNU true
