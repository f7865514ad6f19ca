FROM local/busybox
ONBUILD RUN --mount=type=foo,target=/x true
