# A circle of three, none of which is a pair.
FROM local/busybox AS a
RUN --mount=type=cache,id=A,target=/1,sharing=locked --mount=type=cache,id=B,target=/2,sharing=locked sleep 0.2; touch /a
FROM local/busybox AS b
RUN --mount=type=cache,id=B,target=/1,sharing=locked --mount=type=cache,id=C,target=/2,sharing=locked sleep 0.2; touch /b
FROM local/busybox AS c
RUN --mount=type=cache,id=C,target=/1,sharing=locked --mount=type=cache,id=A,target=/2,sharing=locked sleep 0.2; touch /c
FROM local/busybox
COPY --from=a /a /
COPY --from=b /b /
COPY --from=c /c /
