FROM local/busybox
RUN
