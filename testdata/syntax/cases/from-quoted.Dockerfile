FROM "local/busybox"
