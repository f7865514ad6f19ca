FROM local/busybox
EXPOSE foo
