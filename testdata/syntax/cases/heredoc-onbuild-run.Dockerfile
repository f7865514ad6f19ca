FROM local/busybox
ONBUILD RUN <<EOF
echo a
EOF
