FROM local/busybox
RUN --mount=type=tmpfs,target=/x,size=1m true
