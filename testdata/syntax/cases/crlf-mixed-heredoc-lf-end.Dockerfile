FROM local/busybox
RUN <<EOF
echo a
EOF
