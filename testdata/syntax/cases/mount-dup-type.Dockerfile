FROM local/busybox
RUN --mount=type=cache,type=tmpfs,target=/x true
