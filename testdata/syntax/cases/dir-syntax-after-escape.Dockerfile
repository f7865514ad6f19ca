# escape=`
# syntax=docker/dockerfile:1
FROM local/busybox
RUN echo a `
  b
