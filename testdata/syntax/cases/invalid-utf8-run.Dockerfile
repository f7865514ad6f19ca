FROM local/busybox
RUN echo ÿþ
