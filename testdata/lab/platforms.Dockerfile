# One stage for two platforms, one cache, and a tool that wants it for itself.
FROM local/busybox-$TARGETARCH
RUN --mount=type=cache,id=both,target=/cache mkdir /cache/lock && sleep 1 && rm -r /cache/lock
