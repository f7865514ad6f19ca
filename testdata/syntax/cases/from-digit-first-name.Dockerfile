FROM local/busybox AS 1a
