FROM local/busybox
RUN echo a \
  b
ENV A=1
