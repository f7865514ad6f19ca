FROM local/busybox
ENV A=ÿþ B=2
