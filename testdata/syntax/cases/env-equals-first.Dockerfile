FROM local/busybox
ENV =b
