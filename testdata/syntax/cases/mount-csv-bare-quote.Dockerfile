FROM local/busybox
RUN --mount=type=cache,tar"get=/x true
