ARG A=1
FROM local/busybox
ARG A
RUN test "$A" = 1
