FROM local/busybox
RUN --mount=type=cache,target=/x \
  # c
  --mount=type=cache,target=/y true
