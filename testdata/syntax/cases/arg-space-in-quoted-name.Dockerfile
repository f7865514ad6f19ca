FROM local/busybox
ARG "A B"
