FROM local/busybox AS
