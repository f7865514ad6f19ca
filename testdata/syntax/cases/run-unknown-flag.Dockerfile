FROM local/busybox
RUN --foo true
