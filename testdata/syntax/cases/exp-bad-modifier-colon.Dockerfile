FROM local/busybox
ENV W=appap
ENV X=${V:x}
WORKDIR /w${V:x}
