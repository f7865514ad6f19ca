FROM local/busybox
VOLUME [""]
