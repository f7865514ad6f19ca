# ÿþ
FROM local/busybox
