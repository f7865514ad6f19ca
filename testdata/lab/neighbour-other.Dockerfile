# Built with --no-cache beside another build, with which it has no cache in common.
FROM local/busybox
RUN --mount=type=cache,id=other,target=/cache touch /cache/file
