FROM scratch
COPY --from=local/busybox --chmod=zzz /bin/sh /x
