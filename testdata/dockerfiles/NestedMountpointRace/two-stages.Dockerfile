# Both runtimes make /cache/inner in the one shared cache; runc 1.2.0 to 1.2.2 fail when both do so at once.
FROM local/busybox AS a
RUN --mount=type=cache,id=outer,target=/cache --mount=type=cache,id=inner-a,target=/cache/inner/a touch /cache/inner/a/x /a
FROM local/busybox AS b
RUN --mount=type=cache,id=outer,target=/cache --mount=type=tmpfs,target=/cache/inner/b touch /cache/inner/b/x /b
FROM local/busybox
COPY --from=a /a /
COPY --from=b /b /
