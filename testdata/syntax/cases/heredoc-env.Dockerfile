FROM local/busybox
ENV A=<<EOF
hello
EOF
