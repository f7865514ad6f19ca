FROM local/busybox
ENV
