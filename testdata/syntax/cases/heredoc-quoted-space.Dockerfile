FROM local/busybox
RUN <<"E F"
echo $A
E F
