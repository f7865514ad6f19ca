FROM b AS a
FROM scratch AS b
