FROM local/busybox
RUN --mount=type=cache,target=/x,env=A true
