FROM local/busybox
SHELL []
