FROM --platform linux/amd64 local/busybox
