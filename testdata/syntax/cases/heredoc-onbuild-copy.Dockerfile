FROM local/busybox
ONBUILD COPY <<EOF /a
a
EOF
