# Several stages, a cache each, a tmpfs, an argument, an owner, an entrypoint.
ARG GREETING=hello
FROM local/busybox AS base
ENV LANG=C
WORKDIR /work
FROM base AS a
ARG GREETING
RUN --mount=type=cache,target=/cache/a echo "${GREETING:-nobody}" > /work/a && touch /cache/a/file
FROM base AS b
RUN --mount=type=cache,target=/cache/b,uid=1000 --mount=type=tmpfs,target=/tmp touch /work/b /tmp/x
FROM base
COPY --from=a /work/a /work/
COPY --from=b --chown=1:1 /work/b /work/
USER 1000
ENTRYPOINT ["cat", "/work/a"]
