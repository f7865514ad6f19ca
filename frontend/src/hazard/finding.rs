//! What a rule found.

use std::fmt;

use super::Rule;
use crate::graph::{BuildGraph, CacheKey, MountRef};

/// How sure it is that a hazard does harm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The tool is known to bear it.
    Note,
    /// It depends on the tool, or on chance.
    Warning,
    /// It is known to break builds.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

/// One hazard: a rule, the caches that it is about, and the mounts that make it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Which rule.
    pub rule: &'static Rule,
    /// How bad.
    pub severity: Severity,
    /// The caches, in a stable order: one, or those of a cycle.
    pub caches: Vec<CacheKey>,
    /// The last of the mounts in file order.
    pub at: MountRef,
    /// The other mounts, in file order.
    pub related: Vec<MountRef>,
    /// What happens, in one line without the place.
    pub message: String,
}

impl Finding {
    /// A finding of `rule`, placed at the last of `mounts` in file order. None without mounts.
    pub(super) fn new(
        graph: &BuildGraph,
        rule: &'static Rule,
        severity: Severity,
        caches: Vec<CacheKey>,
        mut mounts: Vec<MountRef>,
        message: String,
    ) -> Option<Self> {
        mounts.sort_by(|a, b| graph.file_order(*a).cmp(&graph.file_order(*b)));
        let at = mounts.pop()?;
        Some(Self { rule, severity, caches, at, related: mounts, message })
    }

    /// All its mounts, in file order.
    pub fn mounts(&self) -> impl Iterator<Item = MountRef> + '_ {
        self.related.iter().copied().chain([self.at])
    }
}
