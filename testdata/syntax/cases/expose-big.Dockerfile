FROM local/busybox
EXPOSE 70000
