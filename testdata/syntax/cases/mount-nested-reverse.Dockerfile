FROM local/busybox
RUN --mount=type=cache,target=/x/y --mount=type=cache,target=/x true
