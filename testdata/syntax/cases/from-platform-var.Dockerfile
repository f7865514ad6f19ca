FROM --platform=$BUILDPLATFORM local/busybox
