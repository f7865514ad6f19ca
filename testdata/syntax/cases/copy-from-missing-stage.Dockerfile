FROM scratch
COPY --from=nosuchstage.invalid/x /a /b
