FROM --platform= local/busybox
