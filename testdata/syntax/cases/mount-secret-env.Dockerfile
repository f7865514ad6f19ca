FROM local/busybox
RUN --mount=type=secret,id=a,env=A true
