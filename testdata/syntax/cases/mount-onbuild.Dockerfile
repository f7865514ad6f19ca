FROM local/busybox
ONBUILD RUN --mount=type=cache,target=/x true
