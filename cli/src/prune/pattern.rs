//! Patterns for names of images and caches, and names as everybody writes them.

use std::fmt;
use std::str::FromStr;

use crate::glob;

/// A name with `*`, which stands for any text, and `?`, for one character.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(String);

/// Why text is no pattern.
#[derive(Debug, thiserror::Error)]
#[error("write a name, such as debian, debian:12 or registry.example/ci/*")]
pub struct PatternError;

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        if text.trim().is_empty() { Err(PatternError) } else { Ok(Self(short(text.trim()).into())) }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Pattern {
    /// Whether it means this name of an image, `repository:tag` or `repository@digest`, with its tag or without.
    pub fn has_image(&self, name: &str) -> bool {
        let name = short(name);
        matches(&self.0, name) || matches(&self.0, repository(name))
    }

    /// Whether it is one for ids, `sha256:…`, and means this one.
    pub fn has_id(&self, id: &str) -> bool {
        self.0.starts_with("sha256:") && matches(&self.0, id)
    }

    /// Whether it means this id of a cache mount. BuildKit puts a slash before ids that have none
    /// (`id=apt` is `/apt`), or not, by its version.
    pub fn has_cache(&self, id: &str) -> bool {
        matches(self.0.trim_start_matches('/'), id.trim_start_matches('/'))
    }
}

/// The name as the engine lists it: `debian:latest` for `docker.io/library/debian`.
pub(super) fn canonical(name: &str) -> String {
    let name = short(name);
    match name.rsplit_once('@') {
        Some((tagged, digest)) => format!("{}@{digest}", repository(tagged)),
        None if repository(name) == name => format!("{name}:latest"),
        None => name.into(),
    }
}

/// Without Docker's own registry, which nobody writes.
fn short(name: &str) -> &str {
    let name = name.strip_prefix("docker.io/").or(name.strip_prefix("index.docker.io/")).unwrap_or(name);
    name.strip_prefix("library/").unwrap_or(name)
}

/// Without its tag or digest. A colon before a slash is a port's.
pub(super) fn repository(name: &str) -> &str {
    let name = name.split_once('@').map_or(name, |(name, _)| name);
    match name.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => repository,
        _ => name,
    }
}

fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    glob::matches(&pattern, &text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_what_users_expect() {
        let has = |pattern: &str, name: &str| pattern.parse::<Pattern>().unwrap().has_image(name);
        assert!(has("debian", "debian:12"), "any tag");
        assert!(has("debian:12", "debian:12") && !has("debian:12", "debian:13"));
        assert!(has("docker.io/library/debian", "debian:12"));
        assert!(has("registry:5000/ci/*", "registry:5000/ci/a/b:1"), "any depth");
        assert!(has("*:nightly-*", "r.example/a:nightly-20250101"));
        assert!(has("a", "a@sha256:12") && has("a@sha256:*", "a@sha256:12"));
        assert!(!has("debian", "debian-slim:12") && !has("ian", "debian:12"));
        assert!(has("v?", "v1:latest") && !has("v?", "v12:latest"));
        let has_cache = |pattern: &str, id: &str| pattern.parse::<Pattern>().unwrap().has_cache(id);
        assert!(has_cache("apt", "/apt") && has_cache("/root/*", "/root/.m2") && !has_cache("apt", "/apt2"));
        let has_id = |pattern: &str| pattern.parse::<Pattern>().unwrap().has_id("sha256:12");
        assert!(has_id("sha256:12") && has_id("sha256:1*") && !has_id("*:12"), "a tag is no id");
        assert!(" ".parse::<Pattern>().is_err());
    }

    #[test]
    fn a_name_has_one_form() {
        for name in ["debian", "docker.io/debian:latest", "docker.io/library/debian", "debian:latest"] {
            assert_eq!(canonical(name), "debian:latest");
        }
        assert_eq!(canonical("registry:5000/a"), "registry:5000/a:latest");
        assert_eq!(canonical("registry:5000/a:1"), "registry:5000/a:1");
        assert_eq!(canonical("a:1@sha256:12"), "a@sha256:12");
    }
}
