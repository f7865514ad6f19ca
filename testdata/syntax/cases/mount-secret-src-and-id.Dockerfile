FROM local/busybox
RUN --mount=type=secret,src=a,id=b true
