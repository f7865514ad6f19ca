# apt takes its locks without waiting: one of two concurrent installs fails with "Could not get lock".
FROM local/debian AS hello
ARG TRY
RUN --mount=type=cache,target=/var/cache/apt --mount=type=cache,target=/var/lib/apt \
    rm -f /etc/apt/apt.conf.d/docker-clean && apt-get update && apt-get install --yes --no-install-recommends hello
FROM local/debian AS sl
ARG TRY
RUN --mount=type=cache,target=/var/cache/apt --mount=type=cache,target=/var/lib/apt \
    rm -f /etc/apt/apt.conf.d/docker-clean && apt-get update && apt-get install --yes --no-install-recommends sl
FROM local/debian
COPY --from=hello /usr/bin/hello /usr/local/bin/
COPY --from=sl /usr/games/sl /usr/local/bin/
