FROM local/busybox
CMD ["\u0061"]
