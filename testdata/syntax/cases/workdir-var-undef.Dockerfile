FROM local/busybox
WORKDIR $NOSUCH
