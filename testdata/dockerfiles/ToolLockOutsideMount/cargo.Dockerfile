# cargo's .package-cache lies in CARGO_HOME, beside what is mounted.
FROM local/busybox AS a
RUN --mount=type=cache,target=/usr/local/cargo/registry touch /usr/local/cargo/registry/a /a
FROM local/busybox AS b
RUN --mount=type=cache,target=/usr/local/cargo/registry touch /usr/local/cargo/registry/b /b
FROM local/busybox
COPY --from=a /a /
COPY --from=b /b /
