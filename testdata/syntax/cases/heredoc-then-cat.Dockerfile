FROM local/busybox
RUN <<EOF cat
hello
EOF
