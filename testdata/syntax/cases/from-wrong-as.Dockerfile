FROM local/busybox IS a
