FROM local/busybox
ENV W=appap
ENV X=${V:-$W}
WORKDIR /w${V:-$W}
