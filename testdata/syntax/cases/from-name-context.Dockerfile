FROM local/busybox AS context
