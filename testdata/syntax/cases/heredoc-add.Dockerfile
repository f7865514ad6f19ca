FROM scratch
ADD <<EOF /a
hello
EOF
