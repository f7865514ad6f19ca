# Two stages that share a cache. The one with more behind it comes late, which nobody can know beforehand: an order waits for it.
FROM local/busybox AS s0
ARG FIRST
RUN sleep 0.1; echo 0 $FIRST > /before
RUN --mount=type=cache,id=late,target=/cache sleep 0.2; cp /before /cache/s0; cp /before /during
ARG AFTER
RUN sleep 1; echo $AFTER > /s0
FROM local/busybox AS s1
ARG LAST
RUN sleep 2; echo 1 $LAST > /before
RUN --mount=type=cache,id=late,target=/cache sleep 0.2; cp /before /cache/s1; cp /before /during
ARG AFTER
RUN sleep 0.1; echo $AFTER > /middle
RUN cp /middle /s1
FROM local/busybox
COPY --from=s0 /s0 /
COPY --from=s1 /s1 /
