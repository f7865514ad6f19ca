# Two users of one cache overlap. Each looks for what the first stage left there.
FROM local/busybox AS fill
RUN --mount=type=cache,id=mine,target=/cache touch /cache/full; touch /done
FROM local/busybox AS holder
COPY --from=fill /done /
RUN --mount=type=cache,id=mine,target=/cache test -e /cache/full || { echo "the cache is empty"; exit 1; }; sleep 1; touch /h
FROM local/busybox AS comer
COPY --from=fill /done /
RUN sleep 0.5
RUN --mount=type=cache,id=mine,target=/cache test -e /cache/full || { echo "the cache is empty"; exit 1; }; touch /c
FROM local/busybox
COPY --from=holder /h /
COPY --from=comer /c /
