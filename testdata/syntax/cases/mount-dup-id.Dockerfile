FROM local/busybox
RUN --mount=type=cache,id=a,id=b,target=/x true
