FROM local/busybox
EXPOSE
