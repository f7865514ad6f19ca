# One writes, two only read: the readers do not race with each other, but each with the writer.
FROM local/busybox AS writer
RUN --mount=type=cache,id=data,target=/data echo 1 > /data/file; touch /w
FROM local/busybox AS reader
RUN --mount=type=cache,id=data,target=/data,readonly ls /data; touch /r
FROM local/busybox AS other
RUN --mount=type=cache,id=data,target=/data,ro ls -l /data; touch /o
FROM local/busybox
COPY --from=writer /w /
COPY --from=reader /r /
COPY --from=other /o /
