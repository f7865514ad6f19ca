# One id, two owners: the second step does not find what the first one left.
FROM local/busybox
RUN --mount=type=cache,id=owned,target=/cache,uid=1000 touch /cache/left /one
RUN --mount=type=cache,id=owned,target=/cache ls /cache > /two
