FROM local/busybox
ARG T=locked
RUN --mount=type=cache,sharing=${T},target=/x true
