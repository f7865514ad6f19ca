FROM scratch
COPY --from=local/busybox --parents /bin/sh /x/
