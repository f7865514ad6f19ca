FROM ${NOSUCH:-local/busybox}
