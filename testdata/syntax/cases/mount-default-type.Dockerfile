FROM local/busybox
RUN --mount=target=/x,from=local/busybox true
