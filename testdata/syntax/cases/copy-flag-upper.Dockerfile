FROM scratch
COPY --FROM=local/busybox /bin/sh /x
