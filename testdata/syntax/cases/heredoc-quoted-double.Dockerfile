FROM local/busybox
RUN <<"EOF"
echo $A
EOF
