FROM local/busybox
ARG A=1 B C=3
