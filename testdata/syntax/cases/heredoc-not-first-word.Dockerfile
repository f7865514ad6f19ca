FROM local/busybox
RUN cat <<EOF > /x
hello
EOF
