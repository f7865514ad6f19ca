//! Where an image can come from: the configured mirrors, and then its own registry. All of it is data.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use bytesize::ByteSize;
use serde::{Deserialize, Deserializer};

use super::probe::Limits;
use super::reference::Reference;

/// A registry that has copies of another one's images.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Mirror {
    /// The registry whose images it has, as names have it.
    pub registry: String,
    /// Only repositories with these first components.
    #[serde(default)]
    pub prefix: String,
    /// Where it is. A path in it stands before the repository's name.
    pub url: Address,
    /// Whether its certificate may be any, and, without a scheme in the address, whether it may have none.
    #[serde(default)]
    pub insecure: bool,
    /// What people know it by; else its host.
    #[serde(default)]
    pub name: Option<String>,
    /// How long it may take to answer, where that differs from the command's.
    #[serde(default, deserialize_with = "duration")]
    pub first_byte: Option<Duration>,
    /// Its least throughput in bytes a second, where that differs from the command's.
    #[serde(default, deserialize_with = "size")]
    pub floor: Option<u64>,
    /// Over which time that is asked for, where it differs from the command's.
    #[serde(default, deserialize_with = "duration")]
    pub window: Option<Duration>,
}

/// How a registry is addressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// With TLS.
    Https,
    /// Without it.
    Http,
    /// As docker does it: with TLS, but for registries on this host.
    Usual,
}

/// The address of a registry: `registry.example`, `http://10.0.0.5:5000`, `https://cache.example/hub`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Address {
    /// With or without TLS.
    pub scheme: Scheme,
    /// The host, with its port.
    pub host: String,
    /// What stands before each repository's name; empty for none.
    pub path: String,
}

/// Why text is no mirror.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum MirrorError {
    /// The address is not one.
    #[error("'{0}' is not the address of a registry, such as http://10.0.0.5:5000")]
    Address(String),
    /// It does not say of what it is a mirror.
    #[error("'{0}' does not say of what it is a mirror: write REGISTRY[/PREFIX]=ADDRESS")]
    Pair(String),
}

/// One place that an image can come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// What people know it by.
    pub name: String,
    /// Where it is.
    pub address: Address,
    /// Whether its certificate may be any.
    pub insecure: bool,
    /// The repository there.
    pub repository: String,
    /// What it has to prove.
    pub limits: Limits,
    /// What is asked of it where nothing faster is left.
    pub patient: Limits,
    /// Whether this is the image's own registry.
    pub is_origin: bool,
}

/// The sources of an image, in the order in which they are asked: those mirrors that are for it, as configured, and then
/// its own registry, of which no floor is asked, since nobody is left to turn to.
pub fn chain(image: &Reference, mirrors: &[Mirror], limits: Limits, patient: Limits) -> Vec<Source> {
    let mirrors = mirrors.iter().filter(|mirror| mirror.is_for(image)).map(|mirror| Source {
        name: mirror.name.clone().unwrap_or_else(|| mirror.url.host.clone()),
        address: mirror.url.clone(),
        insecure: mirror.insecure,
        repository: mirror.url.below(image.repository()),
        limits: mirror.limits(limits),
        patient,
        is_origin: false,
    });
    mirrors.chain([origin(image, false, patient)]).collect()
}

/// The image's own registry as a source.
pub fn origin(image: &Reference, insecure: bool, patient: Limits) -> Source {
    Source {
        name: image.registry().into(),
        address: Address { scheme: Scheme::Usual, host: image.host().into(), path: String::new() },
        insecure,
        repository: image.repository().into(),
        limits: patient,
        patient,
        is_origin: true,
    }
}

impl Mirror {
    /// Whether the image is one of those that it has.
    pub fn is_for(&self, image: &Reference) -> bool {
        let rest = image.repository().strip_prefix(self.prefix.trim_matches('/'));
        let is_below =
            rest.is_some_and(|rest| self.prefix.is_empty() || rest.is_empty() || rest.starts_with('/'));
        image.registry() == self.registry && is_below
    }

    /// What is asked of it, where the command asks for these.
    pub fn limits(&self, limits: Limits) -> Limits {
        Limits {
            first_byte: self.first_byte.unwrap_or(limits.first_byte),
            floor: self.floor.unwrap_or(limits.floor),
            window: self.window.unwrap_or(limits.window),
        }
    }
}

/// `REGISTRY[/PREFIX]=ADDRESS`, as flags and the environment give it.
impl FromStr for Mirror {
    type Err = MirrorError;

    fn from_str(text: &str) -> Result<Self, MirrorError> {
        let (of, url) = text.split_once('=').ok_or_else(|| MirrorError::Pair(text.into()))?;
        let (registry, prefix) = of.split_once('/').unwrap_or((of, ""));
        if registry.is_empty() {
            return Err(MirrorError::Pair(text.into()));
        }
        Ok(Self {
            registry: registry.into(),
            prefix: prefix.into(),
            url: url.parse()?,
            insecure: false,
            name: None,
            first_byte: None,
            floor: None,
            window: None,
        })
    }
}

impl Address {
    /// The name of a repository there.
    pub fn below(&self, repository: &str) -> String {
        if self.path.is_empty() { repository.into() } else { format!("{}/{repository}", self.path) }
    }
}

impl FromStr for Address {
    type Err = MirrorError;

    fn from_str(text: &str) -> Result<Self, MirrorError> {
        let (scheme, rest) = match text.split_once("://") {
            Some(("https", rest)) => (Scheme::Https, rest),
            Some(("http", rest)) => (Scheme::Http, rest),
            Some(_) => return Err(MirrorError::Address(text.into())),
            None => (Scheme::Usual, text),
        };
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let is_host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '[' | ']');
        let is_path = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '/');
        if host.is_empty() || !host.chars().all(is_host) || !path.chars().all(is_path) {
            return Err(MirrorError::Address(text.into()));
        }
        Ok(Self { scheme, host: host.into(), path: path.trim_end_matches('/').into() })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.scheme {
            Scheme::Https => "https://",
            Scheme::Http => "http://",
            Scheme::Usual => "",
        })?;
        f.write_str(&self.host)?;
        if self.path.is_empty() { Ok(()) } else { write!(f, "/{}", self.path) }
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let time = jiff::SignedDuration::deserialize(deserializer)?;
    Duration::try_from(time).map(Some).map_err(|_| serde::de::Error::custom("a time cannot be negative"))
}

fn size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let size: ByteSize = text.parse().map_err(serde::de::Error::custom)?;
    Ok(Some(size.as_u64()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits =
        Limits { first_byte: Duration::from_secs(5), floor: 1000, window: Duration::from_secs(10) };

    fn of(mirrors: &[&str], image: &str) -> Vec<String> {
        let mirrors: Vec<Mirror> = mirrors.iter().map(|mirror| mirror.parse().unwrap()).collect();
        let chain = chain(&image.parse().unwrap(), &mirrors, LIMITS, LIMITS.without_floor());
        chain.iter().map(|source| format!("{} {}", source.address.host, source.repository)).collect()
    }

    #[test]
    fn mirrors_come_as_configured_and_the_images_own_registry_last() {
        let mirrors = [
            "registry.example/rocm=http://10.0.0.5:5000/hub",
            "registry.example=cache.example",
            "other.example=https://other",
        ];
        assert_eq!(
            of(&mirrors, "registry.example/rocm/dev:1"),
            ["10.0.0.5:5000 hub/rocm/dev", "cache.example rocm/dev", "registry.example rocm/dev"]
        );
        assert_eq!(
            of(&mirrors, "registry.example/rocmier/dev:1"),
            ["cache.example rocmier/dev", "registry.example rocmier/dev"]
        );
        assert_eq!(of(&mirrors, "third.example/a"), ["third.example a"]);
    }

    #[test]
    fn a_mirror_is_written_down_with_what_is_asked_of_it() {
        #[derive(Deserialize)]
        struct File {
            mirror: Vec<Mirror>,
        }
        let file: File = toml::from_str(
            r#"
            [[mirror]]
            registry = "registry.example"
            prefix = "rocm"
            url = "http://10.0.0.5:5000"
            first-byte = "2s"
            floor = "5MiB"
            "#,
        )
        .unwrap();
        let mirror = &file.mirror[0];
        let limits = mirror.limits(LIMITS);
        assert_eq!((limits.first_byte.as_secs(), limits.floor, limits.window.as_secs()), (2, 5 << 20, 10));
        assert_eq!(mirror.url.to_string(), "http://10.0.0.5:5000");
    }

    #[test]
    fn what_is_no_mirror_is_refused() {
        for wrong in ["a.example", "=http://a", "a.example=", "a.example=ftp://b", "a=http://b c"] {
            assert!(wrong.parse::<Mirror>().is_err(), "{wrong}");
        }
    }
}
