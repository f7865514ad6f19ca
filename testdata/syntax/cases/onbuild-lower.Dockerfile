FROM local/busybox
ONBUILD run true
