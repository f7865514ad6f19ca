FROM local/busybox
RUN --mount=type=cache,target=/x,mode=7777 true
