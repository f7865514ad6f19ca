FROM local/busybox
RUN cat <<$A
foo
$A
