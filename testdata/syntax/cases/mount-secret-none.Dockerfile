FROM local/busybox
RUN --mount=type=secret true
