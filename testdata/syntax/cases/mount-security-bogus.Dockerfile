FROM local/busybox
RUN --security=bogus true
