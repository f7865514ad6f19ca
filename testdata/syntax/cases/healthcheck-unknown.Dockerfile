FROM local/busybox
HEALTHCHECK FOO x
