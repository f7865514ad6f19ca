FROM local/busybox
ONBUILD FOO x
