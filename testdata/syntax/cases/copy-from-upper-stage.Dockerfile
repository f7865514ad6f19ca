FROM local/busybox AS x
FROM scratch
COPY --from=X /bin/sh /b
