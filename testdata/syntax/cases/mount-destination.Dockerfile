FROM local/busybox
RUN --mount=type=cache,destination=/x true
