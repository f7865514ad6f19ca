# Conflicting orders, but one step comes after the other: no hazard.
FROM local/busybox
RUN --mount=type=cache,id=P,target=/1,sharing=locked --mount=type=cache,id=Q,target=/2,sharing=locked touch /1/a /2/a
RUN --mount=type=cache,id=Q,target=/1,sharing=locked --mount=type=cache,id=P,target=/2,sharing=locked ls /1 /2
