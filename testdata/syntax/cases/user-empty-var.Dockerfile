FROM local/busybox
USER $NOSUCH
