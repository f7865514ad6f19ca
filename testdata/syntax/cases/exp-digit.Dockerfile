FROM local/busybox
ENV W=appap
ENV X=$1
WORKDIR /w$1
