FROM local/busybox
RUN cat <<EOF;true
foo
EOF
