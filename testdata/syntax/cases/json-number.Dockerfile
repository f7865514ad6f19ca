FROM local/busybox
CMD ["a",1]
