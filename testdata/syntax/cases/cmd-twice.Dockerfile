FROM local/busybox
CMD a
CMD b
