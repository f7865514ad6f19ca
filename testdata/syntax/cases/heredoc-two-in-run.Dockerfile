FROM local/busybox
RUN cat <<A <<B
a
A
b
B
