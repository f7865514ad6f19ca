FROM local/busybox AS a
ONBUILD COPY --from=local/busybox /bin/sh /zz
FROM a
