FROM local/busybox
RUN --mount=type=cache,from=local/busybox,target=/x true
