FROM local/busybox
ONBUILD ONBUILD RUN true
