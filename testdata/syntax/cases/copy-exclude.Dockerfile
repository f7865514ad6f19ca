FROM scratch
COPY --from=local/busybox --exclude=*.md /bin/sh /x/
