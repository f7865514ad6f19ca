ARG A=x
FROM local/busybox AS x
FROM scratch
COPY --from=$A /bin/sh /b
