# The tool's lock is free again when the tool is killed, so whoever comes later finds it free; and it does not wait.
FROM local/debian AS a
RUN --mount=type=cache,id=cut,target=/cache flock --nonblock /cache/lock sleep 1 || { echo "the lock is taken"; exit 1; }; touch /a
FROM local/debian AS b
RUN --mount=type=cache,id=cut,target=/cache flock --nonblock /cache/lock sleep 1 || { echo "the lock is taken"; exit 1; }; touch /b
FROM local/debian AS c
ARG FAIL
RUN sleep 0.3; test -z "$FAIL" && touch /c
FROM local/debian
COPY --from=a /a /
COPY --from=b /b /
COPY --from=c /c /
