ARG A=1
FROM local/busybox
RUN test -z "$A"
