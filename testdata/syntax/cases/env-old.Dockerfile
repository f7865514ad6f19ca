FROM local/busybox
ENV A b c
