FROM local/busybox
ENV W=appap
ENV X=${W#"p"}
WORKDIR /w${W#"p"}
