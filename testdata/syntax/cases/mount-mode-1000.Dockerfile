FROM local/busybox
RUN --mount=type=cache,target=/x,mode=1000 true
