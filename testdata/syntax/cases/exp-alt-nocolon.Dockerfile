FROM local/busybox
ENV W=appap
ENV X=${V+a}
WORKDIR /w${V+a}
