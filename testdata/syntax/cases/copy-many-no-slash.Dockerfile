FROM local/busybox
COPY --from=local/busybox /bin/sh /bin/ls /x
