FROM local/busybox
ENV A=$
