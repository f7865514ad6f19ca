FROM local/busybox
ENV W=appap
ENV X=${}
WORKDIR /w${}
