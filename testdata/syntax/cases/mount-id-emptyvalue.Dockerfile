FROM local/busybox
RUN --mount=type=cache,id=,target=/x true
