FROM scratch
COPY --foo a b
