FROM local/busybox # c
