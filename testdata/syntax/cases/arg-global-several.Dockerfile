ARG A=1 B=$A
FROM local/busybox
