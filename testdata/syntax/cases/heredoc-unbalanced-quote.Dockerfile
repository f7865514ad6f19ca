FROM local/busybox
RUN cat <<EOF; echo it's
foo
EOF
