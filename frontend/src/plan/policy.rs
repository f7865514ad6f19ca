//! What a user may ask for.

use std::fmt;
use std::str::FromStr;

/// How the hazards of a build are mended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Policy {
    /// The cheapest strategy that removes each hazard; what a tool is known to bear is left alone.
    #[default]
    Auto,
    /// Every hazard by taking turns.
    Lock,
    /// Races by an order in which the steps run; what an order does not mend, by taking turns.
    Order,
    /// Races for a mountpoint by a step that makes it beforehand. The user says that the tools bear each other: that
    /// several of them write to one cache is left alone, unless the tool is known not to bear it. The rest as [`Self::Auto`].
    Prime,
    /// Every hazard by caches of their own, as far as that goes.
    Namespace,
    /// Nothing: the build is what it would be without this frontend, byte for byte.
    Off,
}

impl Policy {
    /// All policies, in the order in which they are listed for people.
    pub const ALL: [Self; 6] = [Self::Auto, Self::Lock, Self::Order, Self::Prime, Self::Namespace, Self::Off];

    /// The name that a user writes.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Lock => "lock",
            Self::Order => "order",
            Self::Prime => "prime",
            Self::Namespace => "namespace",
            Self::Off => "off",
        }
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A policy that does not exist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no policy {0:?}\n  help: the policies are {all}", all = Policy::ALL.map(Policy::name).join(", "))]
pub struct UnknownPolicy(pub String);

impl FromStr for Policy {
    type Err = UnknownPolicy;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|policy| policy.name() == name)
            .ok_or_else(|| UnknownPolicy(name.to_owned()))
    }
}
