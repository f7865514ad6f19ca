FROM --foo=bar local/busybox
