# escape=`
# escape=\
FROM local/busybox
