//! Where a part of the laboratory is run.

use std::str::FromStr;

use anyhow::{Error, anyhow};
use xtask::{containerd, engines};

/// An engine that containers run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum On {
    /// docker's.
    Docker(engines::Kind),
    /// A containerd without docker.
    Containerd(containerd::Kind),
}

impl On {
    /// What it is called.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Docker(kind) => kind.name(),
            Self::Containerd(kind) => kind.name(),
        }
    }

    fn all() -> impl Iterator<Item = Self> {
        let containerds = containerd::Kind::ALL.map(Self::Containerd);
        engines::Kind::ALL.map(Self::Docker).into_iter().chain(containerds)
    }
}

impl FromStr for On {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        Self::all().find(|on| on.name() == name).ok_or_else(|| {
            let names: Vec<_> = Self::all().map(Self::name).collect();
            anyhow!("there is no engine `{name}`\n  help: the engines are {}", names.join(", "))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_is_known_by_its_name() {
        for on in On::all() {
            assert_eq!(on.name().parse::<On>().unwrap(), on);
        }
        assert!("containerd-0.1".parse::<On>().is_err());
    }
}
