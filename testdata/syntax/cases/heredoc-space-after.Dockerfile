FROM local/busybox
RUN << EOF
hello
EOF
