FROM local/busybox
ENV A=1 \
  B=2 \
 # c
  C=3
