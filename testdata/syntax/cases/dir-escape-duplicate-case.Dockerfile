# escape=`
# Escape=`
FROM local/busybox
