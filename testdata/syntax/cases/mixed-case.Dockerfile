From local/busybox aS x
rUn true
