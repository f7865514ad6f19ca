FROM local/busybox
EXPOSE 127.0.0.1:80:80
