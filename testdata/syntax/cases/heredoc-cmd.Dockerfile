FROM local/busybox
CMD <<EOF
hello
EOF
