FROM local/busybox AS a
FROM local/busybox
COPY --from=5 /x /
