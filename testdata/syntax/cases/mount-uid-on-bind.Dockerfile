FROM local/busybox
RUN --mount=type=bind,from=local/busybox,target=/x,uid=1 true
