FROM local/busybox
RUN --network=none --mount=type=cache,target=/x true
