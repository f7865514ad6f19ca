FROM local/busybox
EXPOSE $NOSUCH
