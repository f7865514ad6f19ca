# Each step makes a directory that must not be there yet, as a tool takes a lock without waiting.
FROM local/busybox AS a
RUN --mount=type=cache,target=/cache mkdir /cache/lock && sleep 0.3 && rm -r /cache/lock && touch /a
FROM local/busybox AS b
RUN --mount=type=cache,target=/cache mkdir /cache/lock && sleep 0.3 && rm -r /cache/lock && touch /b
FROM local/busybox
COPY --from=a /a /
COPY --from=b /b /
