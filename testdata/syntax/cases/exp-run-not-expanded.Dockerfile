FROM local/busybox
RUN echo ${V:-d} || true; : "${Q}"
