FROM local/busybox
RUN --mount=type=bind,FROM=${A},target=/x true
