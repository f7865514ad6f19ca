FROM local/busybox
ENV W=appap
ENV X=${V?msg}
WORKDIR /w${V?msg}
