FROM \
  local/busybox \
 AS x
