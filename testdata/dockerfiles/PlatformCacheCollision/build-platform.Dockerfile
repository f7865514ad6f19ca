# platforms: linux/amd64,linux/arm64
# What runs on the build platform, with nothing of the target's in it, is one step for both targets: it runs once. With the
# target's architecture it is two, on one platform.
FROM --platform=$BUILDPLATFORM local/busybox AS once
RUN --mount=type=cache,target=/once touch /once/a
FROM --platform=$BUILDPLATFORM once AS cross
ARG TARGETARCH
RUN --mount=type=cache,target=/cross touch /cross/$TARGETARCH
FROM --platform=$BUILDPLATFORM scratch AS empty
RUN --mount=type=cache,target=/empty touch /empty/a
FROM empty
COPY --from=cross /out /out
RUN --mount=type=cache,target=/go/pkg/mod touch /go/pkg/mod/x
