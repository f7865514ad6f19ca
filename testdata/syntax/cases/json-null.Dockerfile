FROM local/busybox
CMD ["a",null]
