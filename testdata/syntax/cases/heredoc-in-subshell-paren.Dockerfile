FROM local/busybox
RUN (cat <<EOF)
foo
EOF
