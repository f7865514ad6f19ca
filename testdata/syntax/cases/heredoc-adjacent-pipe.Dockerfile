FROM local/busybox
RUN cat <<EOF|cat
foo
EOF
