FROM local/busybox
RUN echo a \
   # c
  b
