FROM local/busybox
RUN --mount=type=bind,source=/nosuch,target=/x true
