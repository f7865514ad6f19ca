FROM local/busybox
RUN --mount=type=cache,dst=/x true
