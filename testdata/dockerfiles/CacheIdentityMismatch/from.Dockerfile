# One id, once empty and once filled from a stage.
FROM local/busybox AS seed
RUN mkdir /seed && touch /seed/file
FROM local/busybox AS a
RUN --mount=type=cache,id=seeded,target=/cache,from=seed,source=/seed ls /cache > /a
FROM a
RUN --mount=type=cache,id=seeded,target=/cache ls /cache > /b
