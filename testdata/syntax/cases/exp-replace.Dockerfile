FROM local/busybox
ENV W=appap
ENV X=${W/a/b}
WORKDIR /w${W/a/b}
