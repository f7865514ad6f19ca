ENV A=1
FROM local/busybox
