FROM local/busybox
RUN <<E.F-1
echo
E.F-1
