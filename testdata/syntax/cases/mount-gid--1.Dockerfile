FROM local/busybox
RUN --mount=type=cache,target=/x,gid=-1 true
