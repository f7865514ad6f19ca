FROM local/busybox
RUN cat <<""
foo

RUN true
