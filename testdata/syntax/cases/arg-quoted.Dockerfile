FROM local/busybox
ARG A="b c"
