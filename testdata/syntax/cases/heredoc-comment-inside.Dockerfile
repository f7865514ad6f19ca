FROM local/busybox
RUN <<EOF
# c
echo a

EOF
