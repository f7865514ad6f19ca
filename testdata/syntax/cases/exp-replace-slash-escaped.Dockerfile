FROM local/busybox
ENV W=appap
ENV X=${W/\\//x}
WORKDIR /w${W/\\//x}
