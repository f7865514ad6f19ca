FROM local/busybox
RUN echo hello > /hello
