FROM local/busybox
RUN \
