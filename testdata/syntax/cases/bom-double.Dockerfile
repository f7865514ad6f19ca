﻿FROM local/busybox
