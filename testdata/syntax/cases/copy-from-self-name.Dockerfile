FROM local/busybox AS x
COPY --from=x /bin/sh /b
