FROM local/busybox AS a/b
