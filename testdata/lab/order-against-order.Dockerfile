# Each stage needs the other one's first step for its second, and each uses the caches X and Y in opposite order: an order by
# stage would run in a circle.
FROM local/busybox AS a
RUN --mount=type=cache,id=X,target=/x touch /x/a /a
FROM local/busybox AS b
RUN --mount=type=cache,id=Y,target=/y touch /y/b /b
FROM a AS c
COPY --from=b /b /
RUN --mount=type=cache,id=Y,target=/y touch /y/c /c
FROM b AS d
COPY --from=a /a /
RUN --mount=type=cache,id=X,target=/x touch /x/d /d
FROM local/busybox
COPY --from=c /c /
COPY --from=d /d /
