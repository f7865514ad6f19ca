FROM local/busybox
RUN --mount=type=tmpfs,target=/ true
