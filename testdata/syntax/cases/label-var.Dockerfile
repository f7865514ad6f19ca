FROM local/busybox
ARG X=1
LABEL a=$X "$X"=2
