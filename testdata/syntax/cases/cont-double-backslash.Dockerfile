FROM local/busybox
RUN echo a \\
RUN true
