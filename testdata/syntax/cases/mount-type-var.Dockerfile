FROM local/busybox
ARG T=cache
RUN --mount=type=$T,target=/x true
