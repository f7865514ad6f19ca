# Two stages that share a cache, of which the second has a long way behind it: whoever lets the first one go first waits for both.
FROM local/busybox AS s0
ARG FIRST
RUN --mount=type=cache,id=behind,target=/cache sleep 1; echo 0 $FIRST > /cache/s0; cp /cache/s0 /during
ARG AFTER
RUN echo $AFTER > /s0
FROM local/busybox AS s1
ARG LAST
RUN --mount=type=cache,id=behind,target=/cache sleep 1; echo 1 $LAST > /cache/s1; cp /cache/s1 /during
ARG AFTER
RUN sleep 1; echo $AFTER > /one
RUN sleep 1; cp /one /two
RUN sleep 1; cp /two /s1
FROM local/busybox
COPY --from=s0 /s0 /
COPY --from=s1 /s1 /
