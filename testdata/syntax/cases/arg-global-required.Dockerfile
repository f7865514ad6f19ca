ARG A
FROM ${A:?need a}
