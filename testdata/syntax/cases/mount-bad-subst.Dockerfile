FROM local/busybox
RUN --mount=type=cache,target=${A true
