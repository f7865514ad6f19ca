# the base
FROM local/busybox AS base
# second

# doc of x
FROM base AS x
