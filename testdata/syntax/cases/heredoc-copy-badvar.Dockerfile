FROM scratch
COPY <<EOF /a
${A
EOF
