FROM local/busybox
RUN --mount=type=cache,target=/x --mount=type=cache,target=/x/y true
