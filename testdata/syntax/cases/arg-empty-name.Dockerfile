FROM local/busybox
ARG =x
