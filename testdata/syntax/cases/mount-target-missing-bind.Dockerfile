FROM local/busybox
RUN --mount=type=bind,from=local/busybox true
