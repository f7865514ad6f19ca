FROM local/busybox
RUN --mount=type=cache,target=/x --mount=type=cache,target=/y --mount=type=tmpfs,target=/z true
