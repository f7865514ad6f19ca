FROM local/busybox
RUN --mount=type=cache,target=/x --mount=type=tmpfs,target=/x true
