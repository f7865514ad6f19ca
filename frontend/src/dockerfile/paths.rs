//! Paths as BuildKit reads them: words, without a look at any file system.

/// A mount's target as the engine sorts it: one that is absolute stays as it was written, `//a` before `/a`.
pub(super) fn taken_at(workdir: &str, target: &str) -> String {
    if target.starts_with('/') { target.to_owned() } else { join(workdir, target) }
}

/// A path, absolute, as seen from a working directory.
pub(super) fn join(workdir: &str, path: &str) -> String {
    if path.starts_with('/') { clean(path) } else { clean(&format!("{workdir}/{path}")) }
}

/// The shortest path that means the same (Go's `path.Clean`).
pub(super) fn clean(path: &str) -> String {
    let absolute = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if absolute => {}
            part => parts.push(part),
        }
    }
    let joined = parts.join("/");
    match (absolute, joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".to_owned(),
        (false, false) => joined,
    }
}

#[cfg(test)]
mod tests {
    use super::{clean, join};

    #[test]
    fn paths_are_cleaned_as_go_does() {
        for (path, expected) in [
            ("/a//b/./c/..", "/a/b"),
            ("", "."),
            ("a/../..", ".."),
            ("/../a", "/a"),
            ("/", "/"),
            ("cache/", "cache"),
        ] {
            assert_eq!(clean(path), expected, "{path}");
        }
        assert_eq!(join("/work", "cache"), "/work/cache");
        assert_eq!(join("/work", "/cache/"), "/cache");
    }
}
