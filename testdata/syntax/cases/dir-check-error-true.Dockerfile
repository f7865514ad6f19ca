# check=error=true
from local/busybox
RUN true
