# The tool is known to bear it: a note, and nothing changes.
FROM local/busybox AS a
RUN --mount=type=cache,target=/go/pkg/mod touch /go/pkg/mod/a /a
FROM local/busybox AS b
RUN --mount=type=cache,target=/go/pkg/mod touch /go/pkg/mod/b /b
FROM local/busybox
COPY --from=a /a /
COPY --from=b /b /
