FROM local/busybox
ARG A=1 B=$A
RUN test "$B" = 1
