# platforms: linux/amd64,linux/arm64
# One step for two platforms, one cache: the second step's id has the platform in it.
FROM scratch AS a
RUN --mount=type=cache,target=/cache touch /cache/a
ARG TARGETPLATFORM
RUN --mount=type=cache,id=own-${TARGETPLATFORM},target=/own touch /own/a
FROM a
RUN --mount=type=cache,target=/cache touch /cache/b
