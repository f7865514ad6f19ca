FROM local/busybox
