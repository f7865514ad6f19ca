FROM local/busybox
ARG A=/x
RUN --mount=type=cache,target=$A true
