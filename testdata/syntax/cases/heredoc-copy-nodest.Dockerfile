FROM scratch
COPY <<EOF
hello
EOF
