FROM local/busybox
ENV A=1 A=2
