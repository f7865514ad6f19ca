FROM local/busybox
ENV D=/x
COPY --from=local/busybox /bin/sh $D/y
