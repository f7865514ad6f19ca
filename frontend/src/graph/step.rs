//! The vertices of a build.

use std::fmt;

use super::cache::{CacheUse, Mount};

/// Where a step stands in its source file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Location {
    /// The file's name as the build knows it.
    pub file: String,
    /// First line, from 1.
    pub line: u32,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// A stage of a Dockerfile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// The name that it was given, else `stage-<index>`.
    pub name: String,
    /// Its place in the file, from 0.
    pub index: usize,
    /// The stage or image that it starts from.
    pub base: String,
    /// The line of its FROM, from 1.
    pub line: u32,
}

/// A vertex of the build: a RUN, or anything else that depends on others and has others depend on it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Step {
    /// Unique in its graph: an LLB digest, or `stage/number`.
    pub id: String,
    /// The stage that it belongs to, where it is known.
    pub stage: Option<String>,
    /// The platform that it runs on, where it is known: `linux/arm64`.
    pub platform: Option<String>,
    /// The platform that it is built for, where there are several: another one where something is cross-compiled. Of a
    /// step that several platforms share, any of them.
    pub target: Option<String>,
    /// Where it was written.
    pub location: Option<Location>,
    /// What it does, as it was written, in one line: `RUN make`.
    pub title: String,
    /// Its mounts, in the order in which the engine takes their locks.
    pub mounts: Vec<Mount>,
}

impl Step {
    /// What tells it from its twins: the platform that it is built for, else the one that it runs on.
    #[must_use]
    pub fn built_for(&self) -> Option<&str> {
        self.target.as_deref().or(self.platform.as_deref())
    }

    /// The cache mounts with their places among [`Step::mounts`], in the order in which their locks are taken.
    pub fn caches(&self) -> impl Iterator<Item = (usize, &Mount, &CacheUse)> {
        self.mounts.iter().enumerate().filter_map(|(i, mount)| Some((i, mount, mount.cache.as_ref()?)))
    }

    /// Whether it runs a command.
    #[must_use]
    pub fn is_run(&self) -> bool {
        self.title.starts_with("RUN ") || self.caches().next().is_some()
    }

    /// Whether `other` is this step of the source once more, for another platform.
    #[must_use]
    pub fn is_twin(&self, other: &Self) -> bool {
        self.built_for() != other.built_for()
            && self.stage == other.stage
            && self.location.is_some()
            && self.location == other.location
    }
}

/// What people call a step: its place, and its stage where it has a name.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.location, &self.stage) {
            (Some(location), Some(stage)) => write!(f, "{location} (stage {stage})"),
            (Some(location), None) => write!(f, "{location}"),
            (None, Some(stage)) => write!(f, "a step of stage {stage}"),
            (None, None) => write!(f, "step {}", self.id),
        }
    }
}
