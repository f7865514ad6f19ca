FROM local/busybox
ENTRYPOINT
