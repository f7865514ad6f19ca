from local/busybox
run <<EOF
true
EOF
