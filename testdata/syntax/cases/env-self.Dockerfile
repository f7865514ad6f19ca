FROM local/busybox
ENV A=$A:x
