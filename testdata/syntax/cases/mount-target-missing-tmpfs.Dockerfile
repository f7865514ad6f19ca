FROM local/busybox
RUN --mount=type=tmpfs true
