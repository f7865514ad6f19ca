FROM local/busybox
RUN cat <<<EOF
