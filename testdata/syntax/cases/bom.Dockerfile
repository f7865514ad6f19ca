FROM local/busybox
