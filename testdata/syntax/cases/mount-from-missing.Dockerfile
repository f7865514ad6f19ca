FROM local/busybox
RUN --mount=type=bind,from=nosuch.invalid/x,target=/x true
