FROM local/busybox
ENV W=appap
ENV X=${W#[ab]}
WORKDIR /w${W#[ab]}
