FROM local/busybox
WORKDIR /w
RUN --mount=type=cache,target=x true
