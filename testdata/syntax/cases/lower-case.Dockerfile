from local/busybox as x
run true
env a=b
