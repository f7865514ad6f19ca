FROM local/busybox
WORKDIR a
WORKDIR b
