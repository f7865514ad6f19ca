FROM local/busybox
HEALTHCHECK CMD ["a"]
