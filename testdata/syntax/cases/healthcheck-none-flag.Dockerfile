FROM local/busybox
HEALTHCHECK --interval=5s NONE
