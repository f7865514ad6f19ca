FROM local/busybox
﻿RUN true
