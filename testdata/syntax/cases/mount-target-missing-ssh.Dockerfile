FROM local/busybox
RUN --mount=type=ssh true
