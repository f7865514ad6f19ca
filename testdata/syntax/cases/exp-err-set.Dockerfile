FROM local/busybox
ENV W=appap
ENV X=${W:?msg}
WORKDIR /w${W:?msg}
