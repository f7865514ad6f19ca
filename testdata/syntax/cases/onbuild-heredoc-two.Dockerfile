FROM local/busybox
ONBUILD COPY <<A <<B /x/
1
A
2
B
