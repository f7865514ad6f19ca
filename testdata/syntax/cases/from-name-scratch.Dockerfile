FROM local/busybox AS scratch
