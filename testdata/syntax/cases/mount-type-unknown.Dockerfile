FROM local/busybox
RUN --mount=type=foo,target=/x true
