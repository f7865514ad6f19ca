FROM local/busybox
RUN ["cat","<<EOF"]
hello
EOF
