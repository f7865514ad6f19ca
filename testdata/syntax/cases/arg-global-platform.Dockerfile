FROM --platform=$TARGETPLATFORM local/busybox
ARG TARGETOS
RUN test "$TARGETOS" = linux
