FROM local/busybox
RUN --mount=type=bind,from=a$,target=/x true
