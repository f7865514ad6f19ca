FROM local/busybox
# RUN <<EOF
RUN true
