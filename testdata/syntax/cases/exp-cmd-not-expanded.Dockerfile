FROM local/busybox
CMD echo ${V
