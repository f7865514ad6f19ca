//! An image as people ask for it: a registry, a repository, and a tag or a digest.

use std::fmt;
use std::str::FromStr;

use crate::image::{Digest, DigestError, FullName, ParseError, familiar};

/// What the name of an image points with.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Target {
    /// A tag, which may point elsewhere tomorrow.
    Tag(String),
    /// A digest, which is the same content for ever.
    Digest(Digest),
}

/// The name of an image, such as `debian:12` or `registry.example/app@sha256:…`. It shows as docker shows it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reference {
    whole: FullName,
    target: Target,
}

/// Why text is no name of an image.
#[derive(Debug, thiserror::Error)]
pub enum ReferenceError {
    /// It is not written as one.
    #[error("{0}")]
    Name(#[from] ParseError),
    /// Its digest is of another kind, or none.
    #[error(transparent)]
    Digest(#[from] DigestError),
}

impl Reference {
    /// The registry as names have it.
    pub fn registry(&self) -> &str {
        self.whole.registry()
    }

    /// The registry's host, with its port, where it is reached.
    pub fn host(&self) -> &str {
        self.whole.host()
    }

    /// The repository.
    pub fn repository(&self) -> &str {
        self.whole.repository()
    }

    /// What it points with.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// The repository with another tag.
    pub fn with_tag(&self, tag: &str) -> Self {
        let whole = FullName::new(self.registry(), self.repository(), tag);
        Self { whole, target: Target::Tag(tag.into()) }
    }

    /// The name of the repository alone, as docker shows it.
    pub fn familiar_repository(&self) -> String {
        familiar(&format!("{}/{}", self.registry(), self.repository())).to_owned()
    }

    /// The name with everything that docker assumes.
    pub fn full(&self) -> String {
        format!("{}/{}{}", self.registry(), self.repository(), self.target)
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let whole: FullName = text.parse()?;
        // As docker has it, a digest beside a tag is what counts.
        let target = match whole.digest() {
            Some(digest) => Target::Digest(digest.parse()?),
            None => Target::Tag(whole.tag().unwrap_or("latest").to_owned()),
        };
        Ok(Self { whole, target })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => write!(f, ":{tag}"),
            Self::Digest(digest) => write!(f, "@{digest}"),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(familiar(&self.full()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_shows_as_docker_shows_it() {
        let digest = format!("sha256:{}", "0".repeat(64));
        for (given, shown) in [
            ("debian".to_owned(), "debian:latest".to_owned()),
            ("rocm/sgl-dev:v1".into(), "rocm/sgl-dev:v1".into()),
            ("127.0.0.1:5000/a/b:1".into(), "127.0.0.1:5000/a/b:1".into()),
            (format!("debian@{digest}"), format!("debian@{digest}")),
            (format!("debian:12@{digest}"), format!("debian@{digest}")),
        ] {
            assert_eq!(given.parse::<Reference>().unwrap().to_string(), shown);
        }
        for wrong in ["", "A", "a b", "a@sha256:12"] {
            assert!(wrong.parse::<Reference>().is_err(), "{wrong}");
        }
    }
}
