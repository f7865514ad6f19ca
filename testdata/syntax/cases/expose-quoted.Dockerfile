FROM local/busybox
EXPOSE "80"
