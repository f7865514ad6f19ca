# escape=``
FROM local/busybox
