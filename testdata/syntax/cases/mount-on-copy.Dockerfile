FROM local/busybox
COPY --mount=type=cache,target=/x a b
