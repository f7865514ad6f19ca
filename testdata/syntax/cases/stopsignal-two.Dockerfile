FROM local/busybox
STOPSIGNAL A B
