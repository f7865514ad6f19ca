FROM local/busybox
RUN --network=bogus true
