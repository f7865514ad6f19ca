# Three stages, each with work before a step that shares its cache with the other two, that step, and work after it. Nothing
# fails when they do overlap.
FROM local/busybox AS s0
ARG FIRST
RUN echo 0 $FIRST > /before
RUN --mount=type=cache,id=keys,target=/cache cp /before /cache/s0; cp /before /during
RUN cp /during /s0
FROM local/busybox AS s1
RUN echo 1 > /before
RUN --mount=type=cache,id=keys,target=/cache cp /before /cache/s1; cp /before /during
RUN cp /during /s1
FROM local/busybox AS s2
RUN echo 2 > /before
RUN --mount=type=cache,id=keys,target=/cache cp /before /cache/s2; cp /before /during
RUN cp /during /s2
FROM local/busybox
COPY --from=s0 /s0 /
COPY --from=s1 /s1 /
COPY --from=s2 /s2 /
