FROM local/busybox
ENV W=appap
ENV X=${W/a}
WORKDIR /w${W/a}
