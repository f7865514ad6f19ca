# Eight stages, each with work before a step that shares its cache with the other seven, that step, and work after it. Nothing
# fails when they do overlap, so that walls of all strategies compare.
FROM local/busybox AS s0
ARG FIRST
RUN sleep 0.1; echo 0 $FIRST > /before
RUN --mount=type=cache,id=walls,target=/cache sleep 0.2; cp /before /cache/s0; cp /before /during
ARG AFTER
RUN sleep 0.1; echo $AFTER > /s0
FROM local/busybox AS s1
RUN sleep 0.1; echo 1 > /before
RUN --mount=type=cache,id=walls,target=/cache sleep 0.2; cp /before /cache/s1; cp /before /during
ARG AFTER
RUN sleep 0.1; echo $AFTER > /s1
FROM local/busybox AS s2
RUN sleep 0.1; echo 2 > /before
RUN --mount=type=cache,id=walls,target=/cache sleep 0.2; cp /before /cache/s2; cp /before /during
ARG AFTER
RUN sleep 0.1; echo $AFTER > /s2
FROM local/busybox AS s3
RUN sleep 0.1; echo 3 > /before
RUN --mount=type=cache,id=walls,target=/cache sleep 0.2; cp /before /cache/s3; cp /before /during
ARG AFTER
RUN sleep 0.1; echo $AFTER > /s3
FROM local/busybox AS s4
RUN sleep 0.1; echo 4 > /before
RUN --mount=type=cache,id=walls,target=/cache sleep 0.2; cp /before /cache/s4; cp /before /during
ARG AFTER
RUN sleep 0.1; echo $AFTER > /s4
FROM local/busybox AS s5
RUN sleep 0.1; echo 5 > /before
RUN --mount=type=cache,id=walls,target=/cache sleep 0.2; cp /before /cache/s5; cp /before /during
ARG AFTER
RUN sleep 0.1; echo $AFTER > /s5
FROM local/busybox AS s6
RUN sleep 0.1; echo 6 > /before
RUN --mount=type=cache,id=walls,target=/cache sleep 0.2; cp /before /cache/s6; cp /before /during
ARG AFTER
RUN sleep 0.1; echo $AFTER > /s6
FROM local/busybox AS s7
ARG LAST
RUN sleep 0.1; echo 7 $LAST > /before
RUN --mount=type=cache,id=walls,target=/cache sleep 0.2; cp /before /cache/s7; cp /before /during
ARG AFTER
RUN sleep 0.1; echo $AFTER > /s7
FROM local/busybox
COPY --from=s0 /s0 /
COPY --from=s1 /s1 /
COPY --from=s2 /s2 /
COPY --from=s3 /s3 /
COPY --from=s4 /s4 /
COPY --from=s5 /s5 /
COPY --from=s6 /s6 /
COPY --from=s7 /s7 /
