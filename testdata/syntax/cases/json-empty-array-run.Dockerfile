FROM local/busybox
RUN []
