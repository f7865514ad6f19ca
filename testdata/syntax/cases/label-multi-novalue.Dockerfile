FROM local/busybox
LABEL a=b c
