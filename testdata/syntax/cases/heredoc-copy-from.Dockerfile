FROM local/busybox
COPY --from=local/busybox <<EOF /a
hello
EOF
