FROM local/busybox
RUN --mount=type=bind,from=$A,target=/x true
