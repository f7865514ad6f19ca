FROM local/busybox
# escape=`
RUN echo a `
  b
