FROM local/busybox
WORKDIR C:\\a
