FROM local/busybox
RUN <<E"O"F
echo $A
EOF
