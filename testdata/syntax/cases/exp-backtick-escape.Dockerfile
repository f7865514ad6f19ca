# escape=`
FROM local/busybox
ENV A=`$V B=\$V
