FROM local/busybox
RUN --mount=type=CACHE,target=/x true
