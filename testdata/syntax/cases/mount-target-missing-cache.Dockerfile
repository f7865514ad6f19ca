FROM local/busybox
RUN --mount=type=cache true
