FROM local/busybox
EXPOSE 80/foo
