FROM local/busybox
RUN --mount=type=cache,target=/x,uid=0755 true
