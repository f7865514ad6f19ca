FROM local/busybox
LABEL a=
