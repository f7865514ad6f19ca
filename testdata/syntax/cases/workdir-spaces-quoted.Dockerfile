FROM local/busybox
WORKDIR "/a b"
