FROM local/busybox
RUN --mount="type=cache,id=a b/c,target=/x" true
