FROM local/busybox
RUN --mount=type=cache,target=/x,readonly=false true
