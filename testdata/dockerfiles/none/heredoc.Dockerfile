# Newer than Docker 20.10.
FROM local/busybox
RUN --mount=type=cache,target=/cache <<EOT
  echo one > /one
  touch /cache/file
EOT
COPY <<EOT /two
two
EOT
