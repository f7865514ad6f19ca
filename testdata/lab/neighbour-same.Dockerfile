# Built with --no-cache beside another build of the same cache.
FROM local/busybox
RUN --mount=type=cache,id=mine,target=/cache touch /cache/file
