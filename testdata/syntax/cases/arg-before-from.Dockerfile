ARG A=local/busybox
FROM ${A}
