FROM local/busybox AS a
FROM scratch AS A
