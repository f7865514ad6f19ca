FROM local/busybox
CMD ['a']
