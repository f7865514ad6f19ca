//! Which other users of a cache a plan looks at.

use std::fmt;
use std::str::FromStr;

/// Against whom the caches of a build are kept apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Scope {
    /// The steps of this build.
    #[default]
    Build,
    /// Other builds of the engine as well: every shared cache may have users in another build at the same time.
    Host,
}

impl Scope {
    /// All scopes, in the order in which they are listed for people.
    pub const ALL: [Self; 2] = [Self::Build, Self::Host];

    /// The name that a user writes.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Build => "build",
            Self::Host => "host",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A scope that does not exist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no scope {0:?}\n  help: the scopes are {all}", all = Scope::ALL.map(Scope::name).join(", "))]
pub struct UnknownScope(pub String);

impl FromStr for Scope {
    type Err = UnknownScope;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|scope| scope.name() == name).ok_or_else(|| UnknownScope(name.to_owned()))
    }
}
