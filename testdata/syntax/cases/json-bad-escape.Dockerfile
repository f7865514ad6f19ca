FROM local/busybox
CMD ["C:\x"]
