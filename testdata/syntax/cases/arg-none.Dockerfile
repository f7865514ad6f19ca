FROM local/busybox
ARG
