FROM local/busybox
HEALTHCHECK
