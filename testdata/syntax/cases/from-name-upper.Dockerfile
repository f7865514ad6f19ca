FROM local/busybox AS Foo
FROM foo
