FROM local/busybox
RUN echo a \

ENV A=1
