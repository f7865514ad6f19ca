FROM local/busybox
RUN --mount= true
