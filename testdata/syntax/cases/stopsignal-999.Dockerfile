FROM local/busybox
STOPSIGNAL 999
