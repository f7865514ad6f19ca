FROM local/busybox AS a
FROM scratch AS a
COPY --from=a /bin/sh /
