FROM local/busybox
RUN --mount=type=cache,target=/x,ro=T true
