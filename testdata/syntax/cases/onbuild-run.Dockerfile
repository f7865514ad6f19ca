FROM local/busybox
ONBUILD RUN true
