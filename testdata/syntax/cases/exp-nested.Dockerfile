FROM local/busybox
ENV W=appap
ENV X=${V:-${W:-z}}
WORKDIR /w${V:-${W:-z}}
