//! The name of an image in its parts, with what docker assumes where they are missing (the distribution project's reference
//! grammar).

use std::fmt;
use std::str::FromStr;

/// Docker's own registry, as names have it.
const DOCKER: &str = "docker.io";

/// A registry, a repository, and a tag or a digest or both or none.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FullName {
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<String>,
}

/// Why text is no name of an image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// It is not written as one.
    #[error("the name of an image is of the form registry.example/team/app:1")]
    Format,
    /// Only tags and registries may have capitals.
    #[error("the name of a repository has no capital letters")]
    Uppercase,
    /// The repository's name has more than 255 characters.
    #[error("the name of a repository has at most 255 characters")]
    TooLong,
}

impl FullName {
    /// A repository of a registry, with a tag.
    pub fn new(registry: &str, repository: &str, tag: &str) -> Self {
        let (registry, repository) = (registry.into(), repository.into());
        Self { registry, repository, tag: Some(tag.into()), digest: None }
    }

    /// The registry as names have it.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The registry's host, with its port, where it is reached.
    pub fn host(&self) -> &str {
        if self.registry == DOCKER { "index.docker.io" } else { &self.registry }
    }

    /// The repository.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag; `latest` is assumed where there is neither a tag nor a digest.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, with its algorithm. Whether it is one is not checked.
    pub fn digest(&self) -> Option<&str> {
        self.digest.as_deref()
    }
}

impl FromStr for FullName {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest)),
            None => (text, None),
        };
        // A colon before a slash is a port's.
        let (name, tag) = match rest.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')) {
            Some((name, tag)) => (name, Some(tag)),
            None => (rest, None),
        };
        let is_registry =
            |first: &str| first.contains(['.', ':']) || first == "localhost" || has_capital(first);
        let (registry, path) = match name.split_once('/').filter(|(first, _)| is_registry(first)) {
            Some((registry, path)) => (registry, path),
            None => (DOCKER, name),
        };
        let registry = if registry == "index.docker.io" { DOCKER } else { registry };
        let is_path = path.split('/').all(is_component);
        if !is_path && path.split('/').all(|part| is_component(&part.to_ascii_lowercase())) {
            return Err(ParseError::Uppercase);
        }
        if !(is_path && is_authority(registry) && tag.is_none_or(is_tag) && digest != Some("")) {
            return Err(ParseError::Format);
        }
        let prefix = if registry == DOCKER && !path.contains('/') { "library/" } else { "" };
        if prefix.len() + path.len() > 255 {
            return Err(ParseError::TooLong);
        }
        let tag = tag.or_else(|| digest.is_none().then_some("latest"));
        Ok(Self {
            registry: registry.into(),
            repository: format!("{prefix}{path}"),
            tag: tag.map(Into::into),
            digest: digest.map(Into::into),
        })
    }
}

impl fmt::Display for FullName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        self.tag.iter().try_for_each(|tag| write!(f, ":{tag}"))?;
        self.digest.iter().try_for_each(|digest| write!(f, "@{digest}"))
    }
}

fn has_capital(text: &str) -> bool {
    text.bytes().any(|byte| byte.is_ascii_uppercase())
}

/// Lowercase letters and digits, with one dot, one or two underscores or any number of dashes between them.
fn is_component(part: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let mut separators = part.split(|c: char| c.is_ascii() && is_word(c as u8));
    let is_separator =
        |text: &str| matches!(text, "" | "." | "_" | "__") || text.bytes().all(|byte| byte == b'-');
    let (begins, ends) = (part.bytes().next().is_some_and(is_word), part.bytes().last().is_some_and(is_word));
    begins && ends && separators.all(is_separator)
}

/// A host's name, or an IPv6 address in brackets; and a port, if any.
fn is_authority(text: &str) -> bool {
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let is_label = |label: &str| {
        let is_word = |byte: u8| byte.is_ascii_alphanumeric();
        let bytes = label.as_bytes();
        bytes.first().is_some_and(|&byte| is_word(byte))
            && bytes.last().is_some_and(|&byte| is_word(byte))
            && bytes.iter().all(|&byte| is_word(byte) || byte == b'-')
    };
    if let Some((address, rest)) = text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        let is_address = address.parse::<std::net::Ipv6Addr>().is_ok();
        return is_address && (rest.is_empty() || rest.strip_prefix(':').is_some_and(is_port));
    }
    let (host, port) = text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
    host.split('.').all(is_label) && port.is_none_or(is_port)
}

fn is_tag(tag: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    tag.len() <= 128
        && tag.bytes().next().is_some_and(is_word)
        && tag.bytes().all(|byte| is_word(byte) || matches!(byte, b'.' | b'-'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> String {
        text.parse::<FullName>().map_or_else(|error| error.to_string(), |name| name.to_string())
    }

    #[test]
    fn what_docker_assumes_is_filled_in() {
        assert_eq!(read("debian"), "docker.io/library/debian:latest");
        assert_eq!(read("index.docker.io/debian:12"), "docker.io/library/debian:12");
        assert_eq!(read("a/b"), "docker.io/a/b:latest");
        assert_eq!(read("a.b/c"), "a.b/c:latest");
        assert_eq!(read("localhost/c"), "localhost/c:latest");
        assert_eq!(read("Host/c"), "Host/c:latest", "no repository has capitals");
        assert_eq!(read("localhost:5000"), "docker.io/library/localhost:5000");
        assert_eq!(read("[::1]:5000/a:1"), "[::1]:5000/a:1");
        assert_eq!(read("a:1@sha256:12"), "docker.io/library/a:1@sha256:12");
        assert_eq!(read("a@sha256:12"), "docker.io/library/a@sha256:12");
        assert_eq!("debian".parse::<FullName>().unwrap().host(), "index.docker.io");
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for text in [
            "", "/", "a/", "/a", "a//b", "a:", ":1", "-a", "a-", "a..b", "a___b", "a._b", "a/../b", "a b",
            "a\n", "ä", "a:-1", "a@", "a.b:/c", "a.b:x/c", "-a.b/c", "[::1/a", "[x]/a", "a:1:2",
        ] {
            assert_eq!(read(text), ParseError::Format.to_string(), "{text:?}");
        }
        insta::assert_snapshot!(read("a/B"), @"the name of a repository has no capital letters");
        assert_eq!(read(&format!("a:{}", "1".repeat(129))), ParseError::Format.to_string());
        assert!(read(&"a".repeat(247)).ends_with(":latest"));
        assert_eq!(read(&"a".repeat(248)), ParseError::TooLong.to_string());
    }

    proptest! {
        #[test]
        fn a_name_in_full_means_itself(text in "([a-z0-9.:-]{1,5}/)?[a-z0-9._-]{1,4}(/[a-z0-9._-]{1,4})?(:[a-z0-9._-]{1,3})?(@sha256:[0-9a-f]{2})?") {
            if let Ok(name) = text.parse::<FullName>() {
                prop_assert_eq!(name.to_string().parse::<FullName>(), Ok(name));
            }
        }

        #[test]
        fn no_text_is_too_much(text in "\\PC{0,20}") {
            let _ = text.parse::<FullName>();
        }
    }
}
