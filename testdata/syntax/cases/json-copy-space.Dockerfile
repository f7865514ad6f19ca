FROM local/busybox
COPY --from=local/busybox ["/bin/sh","/a b"]
