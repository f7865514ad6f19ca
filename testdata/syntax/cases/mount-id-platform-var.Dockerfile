FROM local/busybox
ARG TARGETARCH
RUN --mount=type=cache,id=x-$TARGETARCH,target=/x true
