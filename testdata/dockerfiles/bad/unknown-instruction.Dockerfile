FROM local/busybox
RUN echo
FOO bar
