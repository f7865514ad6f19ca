FROM local/busybox
RUN cat <<EOF>/x
foo
EOF
