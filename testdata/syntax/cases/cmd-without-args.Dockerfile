FROM local/busybox
CMD
