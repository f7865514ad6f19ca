FROM local/busybox
RUN --mount=type=cache,target=/x,dst=/y true
