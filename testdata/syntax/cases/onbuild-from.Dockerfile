FROM local/busybox
ONBUILD FROM x
