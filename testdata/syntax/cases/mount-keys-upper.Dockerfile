FROM local/busybox
RUN --mount=TYPE=cache,TARGET=/x true
