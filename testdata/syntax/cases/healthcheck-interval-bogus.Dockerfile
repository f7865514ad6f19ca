FROM local/busybox
HEALTHCHECK --interval=x CMD true
