FROM local/busybox
CMD []
