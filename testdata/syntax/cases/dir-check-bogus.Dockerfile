# check=bogus
FROM local/busybox
