FROM local/busybox
RUN : '${V'
