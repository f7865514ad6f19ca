FROM local/busybox
FROM 0
