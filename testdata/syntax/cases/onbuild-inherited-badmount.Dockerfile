FROM local/busybox AS a
ONBUILD RUN --mount=type=foo,target=/x true
FROM a
