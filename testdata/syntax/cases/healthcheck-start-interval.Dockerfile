FROM local/busybox
HEALTHCHECK --start-interval=1s CMD true
