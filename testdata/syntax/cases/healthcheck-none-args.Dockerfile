FROM local/busybox
HEALTHCHECK NONE x
