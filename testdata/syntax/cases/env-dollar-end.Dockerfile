FROM local/busybox
ENV A=a$ B=b
