FROM local/busybox
HEALTHCHECK cmd true
