FROM local/busybox
MAINTAINER a b
