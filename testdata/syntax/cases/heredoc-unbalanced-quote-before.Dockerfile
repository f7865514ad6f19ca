FROM local/busybox
RUN echo it's <<EOF
foo
EOF
