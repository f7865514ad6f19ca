FROM local/busybox
RUN --mount=type=cache,id=$A,target=/x true
