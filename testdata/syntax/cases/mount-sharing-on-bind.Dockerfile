FROM local/busybox
RUN --mount=type=bind,from=local/busybox,target=/x,sharing=locked true
