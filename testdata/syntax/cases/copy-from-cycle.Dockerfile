FROM scratch AS a
COPY --from=b /x /b
FROM scratch AS b
COPY --from=a /x /b
