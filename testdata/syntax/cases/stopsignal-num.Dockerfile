FROM local/busybox
STOPSIGNAL 9
