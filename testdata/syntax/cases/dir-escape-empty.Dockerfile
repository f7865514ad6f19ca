# escape=
FROM local/busybox
RUN echo \
 b
