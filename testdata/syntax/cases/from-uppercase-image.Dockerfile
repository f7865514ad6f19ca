FROM Local/Busybox
