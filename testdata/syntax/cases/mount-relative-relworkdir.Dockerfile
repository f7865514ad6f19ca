FROM scratch
WORKDIR w
