FROM local/busybox
RUN <<EOF
echo a \
  b
EOF
