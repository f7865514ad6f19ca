FROM local/busybox:$NOSUCH
