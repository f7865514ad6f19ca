# While c holds Y, a takes X and b waits for Y; then a has X and waits for Y, b has Y and waits for X, or the other way
# round: with luck it ends.
FROM local/busybox AS a
ARG TRY
RUN --mount=type=cache,id=X,target=/x,sharing=locked --mount=type=cache,id=Y,target=/y,sharing=locked sleep 0.2; touch /a
FROM local/busybox AS b
ARG TRY
RUN --mount=type=cache,id=Y,target=/k,sharing=locked --mount=type=cache,id=X,target=/l,sharing=locked sleep 0.2; touch /b
FROM local/busybox AS c
ARG TRY
RUN --mount=type=cache,id=Y,target=/y,sharing=locked sleep 0.2; touch /c
FROM local/busybox
COPY --from=a /a /
COPY --from=b /b /
COPY --from=c /c /
