FROM local/busybox
RUN --mount=type=cache,from=local/busybox,source=/bin,target=/x true
