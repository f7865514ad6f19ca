FROM local/busybox
RUN --mount=required,type=secret,id=a,target=/x true
