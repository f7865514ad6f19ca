# The tool's lock is free again when the tool is killed, so whoever comes later finds it free; and it does not wait.
FROM local/busybox AS a
RUN --mount=type=cache,id=cut,target=/cache flock -n /cache/lock sleep 1 && touch /a
FROM local/busybox AS b
RUN --mount=type=cache,id=cut,target=/cache flock -n /cache/lock sleep 1 && touch /b
FROM local/busybox AS c
ARG FAIL
RUN sleep 0.3; test -z "$FAIL" && touch /c
FROM local/busybox
COPY --from=a /a /
COPY --from=b /b /
COPY --from=c /c /
