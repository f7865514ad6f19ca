ARG A=${B
FROM local/busybox
