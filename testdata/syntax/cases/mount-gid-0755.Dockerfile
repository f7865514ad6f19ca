FROM local/busybox
RUN --mount=type=cache,target=/x,gid=0755 true
