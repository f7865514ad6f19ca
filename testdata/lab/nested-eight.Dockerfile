# As nested-two, with eight.
FROM local/busybox AS s0
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=tmpfs,target=/go/pkg/mod/cache/s0 sleep 0.3; touch /s0
FROM local/busybox AS s1
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=tmpfs,target=/go/pkg/mod/cache/s1 sleep 0.3; touch /s1
FROM local/busybox AS s2
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=tmpfs,target=/go/pkg/mod/cache/s2 sleep 0.3; touch /s2
FROM local/busybox AS s3
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=tmpfs,target=/go/pkg/mod/cache/s3 sleep 0.3; touch /s3
FROM local/busybox AS s4
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=tmpfs,target=/go/pkg/mod/cache/s4 sleep 0.3; touch /s4
FROM local/busybox AS s5
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=tmpfs,target=/go/pkg/mod/cache/s5 sleep 0.3; touch /s5
FROM local/busybox AS s6
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=tmpfs,target=/go/pkg/mod/cache/s6 sleep 0.3; touch /s6
FROM local/busybox AS s7
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=tmpfs,target=/go/pkg/mod/cache/s7 sleep 0.3; touch /s7
FROM local/busybox
COPY --from=s0 /s0 /
COPY --from=s1 /s1 /
COPY --from=s2 /s2 /
COPY --from=s3 /s3 /
COPY --from=s4 /s4 /
COPY --from=s5 /s5 /
COPY --from=s6 /s6 /
COPY --from=s7 /s7 /
