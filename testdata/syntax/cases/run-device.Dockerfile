FROM local/busybox
RUN --device=x true
