FROM local/busybox
RUN echo a \  
  b
