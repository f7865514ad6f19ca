FROM local/busybox
RUN --MOUNT=type=cache,target=/x true
