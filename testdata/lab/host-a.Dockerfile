# Harmless alone; beside host-b on one engine, each of the two spoils the other's cache.
FROM local/busybox
RUN --mount=type=cache,id=host,target=/cache mkdir /cache/lock && sleep 1 && rm -r /cache/lock && touch /a
