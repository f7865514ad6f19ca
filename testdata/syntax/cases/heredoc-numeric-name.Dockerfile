FROM local/busybox
RUN cat <<1
foo
1
