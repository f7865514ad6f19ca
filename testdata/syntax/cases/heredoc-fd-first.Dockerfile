FROM local/busybox
RUN 3<<EOF cat <&3
hello
EOF
