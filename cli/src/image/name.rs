//! The name that an image gets: a repository and a tag.

use std::fmt;
use std::str::FromStr;

use super::full_name::{FullName, ParseError};

/// A name to give to an image, such as `registry.example/ci-build/frontend:0.1.0`. It shows as docker shows
/// it: without the registry and the namespace that docker assumes, always with its tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageName(FullName);

/// Why text is no name for an image.
#[derive(Debug, thiserror::Error)]
pub enum NameError {
    /// It is no reference at all.
    #[error("{0}")]
    Reference(#[from] ParseError),
    /// It names a digest, which is not ours to choose.
    #[error("a name with a digest cannot be given to an image; give a tag")]
    Digest,
}

impl ImageName {
    /// The registry's host, with its port, where it is reached.
    pub fn host(&self) -> &str {
        self.0.host()
    }

    /// The repository.
    pub fn repository(&self) -> &str {
        self.0.repository()
    }

    /// The host of the registry, with its port.
    pub fn registry(&self) -> &str {
        self.0.registry()
    }

    /// The tag.
    pub fn tag(&self) -> &str {
        self.0.tag().unwrap_or("latest")
    }

    /// The name with everything that docker assumes, as containerd knows it.
    pub fn full(&self) -> String {
        self.0.to_string()
    }
}

impl FromStr for ImageName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let reference: FullName = text.parse()?;
        if reference.digest().is_some() { Err(NameError::Digest) } else { Ok(Self(reference)) }
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(familiar(&self.full()))
    }
}

/// A whole name as docker shows it: without the registry and the namespace that docker assumes.
pub(crate) fn familiar(full: &str) -> &str {
    match full.strip_prefix("docker.io/") {
        None => full,
        Some(path) => path.strip_prefix("library/").filter(|rest| !rest.contains('/')).unwrap_or(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_shows_as_docker_shows_it() {
        for (given, shown, full) in [
            ("frontend", "frontend:latest", "docker.io/library/frontend:latest"),
            ("ci-build/frontend:1", "ci-build/frontend:1", "docker.io/ci-build/frontend:1"),
            ("docker.io/library/a/b:1", "library/a/b:1", "docker.io/library/a/b:1"),
            ("localhost/a:1", "localhost/a:1", "localhost/a:1"),
            ("127.0.0.1:5000/a/b", "127.0.0.1:5000/a/b:latest", "127.0.0.1:5000/a/b:latest"),
        ] {
            let name: ImageName = given.parse().unwrap();
            assert_eq!((name.to_string().as_str(), name.full().as_str()), (shown, full));
            assert_eq!(name.to_string().parse::<ImageName>().unwrap(), name);
        }
    }

    #[test]
    fn what_is_no_name_is_refused() {
        let digest = format!("a@sha256:{}", "0".repeat(64));
        for text in ["", "a/B", "a b", "a:", ":1", "-a", "a/../b", "a\n", digest.as_str()] {
            assert!(text.parse::<ImageName>().is_err(), "{text:?}");
        }
    }
}
