//! What a plan is asked for.

use std::collections::BTreeMap;

use super::{Durations, Policy, Scope};
use crate::graph::CacheKey;

/// What a plan is written into, which decides what it may ask for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Medium {
    /// A definition, by the frontend, at each build.
    #[default]
    Definition,
    /// A Dockerfile, once for many builds. A step that runs anew in each build cannot be written there, and an order
    /// follows the file.
    Text,
}

/// What a plan is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// How hazards are mended.
    pub policy: Policy,
    /// Against whom.
    pub scope: Scope,
    /// How those of single caches are, by [`CacheKey::id`]; see [`super::settle`].
    pub caches: BTreeMap<String, Policy>,
    /// How long steps took before.
    pub durations: Durations,
    /// What the plan is for.
    pub medium: Medium,
}

impl Settings {
    /// How the hazards of a cache are mended: what is said of it alone, else what is said of all.
    #[must_use]
    pub fn policy_of(&self, cache: &CacheKey) -> Policy {
        self.caches.get(&cache.id).copied().unwrap_or(self.policy)
    }

    /// Whether nothing may be changed: the build is upstream's, byte for byte.
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.policy == Policy::Off && self.caches.values().all(|policy| *policy == Policy::Off)
    }
}

/// One policy for all caches, and nothing else.
impl From<Policy> for Settings {
    fn from(policy: Policy) -> Self {
        Self { policy, ..Self::default() }
    }
}
