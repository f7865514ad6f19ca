FROM local/busybox
ENV W=appap
ENV X=${V-d}
WORKDIR /w${V-d}
