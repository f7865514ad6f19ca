FROM local/busybox
VOLUME /a /b
