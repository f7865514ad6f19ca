# go bears several users of its modules at once. But all mount something below one directory of them, and both runtimes make
# that directory; runc 1.2.0 to 1.2.2 fail when two do so at once.
FROM local/busybox AS a
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=tmpfs,target=/go/pkg/mod/cache/a sleep 0.3; touch /a
FROM local/busybox AS b
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=tmpfs,target=/go/pkg/mod/cache/b sleep 0.3; touch /b
FROM local/busybox
COPY --from=a /a /
COPY --from=b /b /
