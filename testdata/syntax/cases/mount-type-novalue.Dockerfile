FROM local/busybox
RUN --mount=type,target=/x true
