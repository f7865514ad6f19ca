FROM local/busybox AS s
FROM local/busybox
RUN --mount=type=cache,from=s,source=/bin,target=/x true
