FROM local/busybox
HEALTHCHECK --interval=-1s CMD true
