FROM local/busybox --platform=linux/amd64
