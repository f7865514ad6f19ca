FROM local/busybox
RUN --mount=type=secret,id=a true
