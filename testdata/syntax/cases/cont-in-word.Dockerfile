FROM local/busybox
RU\
N echo a
