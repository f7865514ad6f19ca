FROM local/busybox
RUN --security=insecure true
