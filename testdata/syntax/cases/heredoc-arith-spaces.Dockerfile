FROM local/busybox
RUN echo $((1 << 2))
