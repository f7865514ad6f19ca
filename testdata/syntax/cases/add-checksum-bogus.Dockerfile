FROM scratch
ADD --checksum=foo http://127.0.0.1:1/x /x
