FROM local/busybox
RUN echo "<<EOF"
