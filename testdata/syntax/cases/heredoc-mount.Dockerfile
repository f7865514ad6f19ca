FROM local/busybox
RUN --mount=type=cache,target=/c <<EOF
echo a
EOF
