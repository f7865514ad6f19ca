FROM scratch
COPY --from=local/busybox --chown=a:b:c /bin/sh /x
