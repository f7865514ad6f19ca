FROM local/busybox
RUN <<EOF
#!/bin/sh
echo a
EOF
