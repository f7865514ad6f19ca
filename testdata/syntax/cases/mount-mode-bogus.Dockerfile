FROM local/busybox
RUN --mount=type=cache,target=/x,mode=bogus true
