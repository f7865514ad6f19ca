ARG A=x
FROM local/busybox AS $A
