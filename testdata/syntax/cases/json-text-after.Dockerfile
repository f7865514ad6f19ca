FROM local/busybox
CMD ["a"] b
