FROM local/busybox x
