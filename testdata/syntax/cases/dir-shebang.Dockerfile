#!/usr/bin/env -S docker build . -f
# escape=`
FROM local/busybox
RUN echo a `
  b
