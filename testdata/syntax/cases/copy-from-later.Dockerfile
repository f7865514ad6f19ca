FROM scratch AS a
COPY --from=b /bin/sh /b
FROM local/busybox AS b
FROM a
