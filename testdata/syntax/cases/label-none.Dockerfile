FROM local/busybox
LABEL
