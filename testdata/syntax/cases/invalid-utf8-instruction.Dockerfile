FROM local/busybox
RÿN true
