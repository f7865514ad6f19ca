FROM local/busybox
RUN --mount=type=cache,target=/x,mode=999 true
