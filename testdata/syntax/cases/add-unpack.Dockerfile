FROM scratch
ADD --unpack=true a b
