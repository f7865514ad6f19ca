FROM local/busybox
RUN --mount=type=cache,target=/x,gid=1000 true
