# Never at once in this build, but in a build beside it.
FROM local/busybox
RUN --mount=type=cache,id=mixed2,target=/cache,sharing=locked touch /cache/full
RUN --mount=type=cache,id=mixed2,target=/cache,sharing=private ls /cache
