FROM local/busybox
FOO bar
