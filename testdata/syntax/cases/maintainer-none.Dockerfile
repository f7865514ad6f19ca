FROM local/busybox
MAINTAINER
