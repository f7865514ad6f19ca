FROM local/busybox
ENV W=appap
ENV X=a\\
WORKDIR /wa\\
