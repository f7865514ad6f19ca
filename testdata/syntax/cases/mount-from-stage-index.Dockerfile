FROM local/busybox
FROM local/busybox
RUN --mount=type=bind,from=0,target=/x true
