FROM local/busybox
SHELL /bin/sh -c
