FROM local/busybox AS u
RUN --mount=type=foo,target=/x true
FROM scratch
COPY --from=local/busybox /bin/sh /s
