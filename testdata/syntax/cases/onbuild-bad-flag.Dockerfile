FROM local/busybox
ONBUILD COPY --foo a b
