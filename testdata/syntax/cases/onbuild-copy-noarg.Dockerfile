FROM local/busybox
ONBUILD COPY a
