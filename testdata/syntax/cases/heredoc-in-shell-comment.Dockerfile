FROM local/busybox
RUN true # <<EOF
