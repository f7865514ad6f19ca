FROM local/busybox
ARG M=type=cache,target=/x
RUN --mount=$M true
