FROM local/busybox
RUN echo before
RUN exit 42
