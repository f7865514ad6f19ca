# escape=x
FROM local/busybox
