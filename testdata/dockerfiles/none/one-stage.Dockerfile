# One cache, used again and again, never at once.
FROM local/busybox
RUN --mount=type=cache,target=/cache touch /cache/1
RUN --mount=type=cache,target=/cache touch /cache/2
RUN --mount=type=cache,target=/cache,readonly ls /cache
