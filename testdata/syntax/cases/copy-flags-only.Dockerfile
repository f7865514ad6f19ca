FROM scratch
COPY --from=local/busybox
