# escape=` foo
FROM local/busybox
