FROM local/busybox
RUN -x true
