FROM local/busybox
ONBUILD 
