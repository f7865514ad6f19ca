FROM scratch
ARG A=5
COPY <<EOF /a
$A ${A} \$A
EOF
