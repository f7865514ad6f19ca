FROM --platform=bogus/zzz/1/2/3 local/busybox
