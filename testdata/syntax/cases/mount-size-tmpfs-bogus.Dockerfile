FROM local/busybox
RUN --mount=type=tmpfs,target=/x,size=x true
