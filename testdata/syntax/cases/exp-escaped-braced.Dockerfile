FROM local/busybox
ENV W=appap
ENV X=\${V}
WORKDIR /w\${V}
