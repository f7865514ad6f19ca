FROM local/busybox
EXPOSE 90-80
