FROM local/busybox
ARG 1-a=b
