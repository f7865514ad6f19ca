FROM local/busybox
RUN --mount=type=cache,target=/x,mode=0755 true
