FROM local/busybox
RUN true --mount=type=cache,target=/x
