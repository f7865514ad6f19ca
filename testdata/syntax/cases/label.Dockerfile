FROM local/busybox
LABEL a=b "c d"=e
