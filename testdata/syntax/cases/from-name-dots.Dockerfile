FROM local/busybox AS a.b-c_d
