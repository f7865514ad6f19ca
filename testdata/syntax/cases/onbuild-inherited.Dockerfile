FROM local/busybox AS a
ONBUILD RUN false
FROM a
