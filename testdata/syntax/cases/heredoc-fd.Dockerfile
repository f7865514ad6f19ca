FROM local/busybox
RUN cat 3<<EOF <&3
hello
EOF
