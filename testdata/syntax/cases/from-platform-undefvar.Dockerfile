FROM --platform=$NOSUCH local/busybox
