# Eight concurrent users of one cache, and a ninth that comes after them all.
FROM local/busybox AS s0
RUN --mount=type=cache,id=shared,target=/cache mkdir /cache/lock && sleep 0.1 && rm -r /cache/lock && touch /s0
FROM local/busybox AS s1
RUN --mount=type=cache,id=shared,target=/cache mkdir /cache/lock && sleep 0.1 && rm -r /cache/lock && touch /s1
FROM local/busybox AS s2
RUN --mount=type=cache,id=shared,target=/cache mkdir /cache/lock && sleep 0.1 && rm -r /cache/lock && touch /s2
FROM local/busybox AS s3
RUN --mount=type=cache,id=shared,target=/cache mkdir /cache/lock && sleep 0.1 && rm -r /cache/lock && touch /s3
FROM local/busybox AS s4
RUN --mount=type=cache,id=shared,target=/cache mkdir /cache/lock && sleep 0.1 && rm -r /cache/lock && touch /s4
FROM local/busybox AS s5
RUN --mount=type=cache,id=shared,target=/cache mkdir /cache/lock && sleep 0.1 && rm -r /cache/lock && touch /s5
FROM local/busybox AS s6
RUN --mount=type=cache,id=shared,target=/cache mkdir /cache/lock && sleep 0.1 && rm -r /cache/lock && touch /s6
FROM local/busybox AS s7
RUN --mount=type=cache,id=shared,target=/cache mkdir /cache/lock && sleep 0.1 && rm -r /cache/lock && touch /s7
FROM local/busybox
COPY --from=s0 /s0 /
COPY --from=s1 /s1 /
COPY --from=s2 /s2 /
COPY --from=s3 /s3 /
COPY --from=s4 /s4 /
COPY --from=s5 /s5 /
COPY --from=s6 /s6 /
COPY --from=s7 /s7 /
RUN --mount=type=cache,id=shared,target=/cache test ! -e /cache/lock
