FROM local/busybox
ENV W=appap
ENV X=$\ x
WORKDIR /w$\ x
