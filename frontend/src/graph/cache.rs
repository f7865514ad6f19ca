//! Cache mounts: what makes two of them one cache, and how its users share it.

use std::fmt;
use std::ops::Range;

use super::StepIndex;

/// Which cache a mount opens. Two mounts are one cache when key and identity agree.
///
/// BuildKit looks a cache up by the mount's id and, where the mount starts from an input, by that input's record
/// (`solver/llbsolver/mounts/mount.go`, `getRefCacheDir`). Neither stage, platform nor sharing mode is part of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CacheKey {
    /// The id behind its namespace (`BUILDKIT_CACHE_MOUNT_NS`, usually empty) and a slash: `/id`, `namespace/id`.
    pub id: String,
    /// What the cache starts from, where it does not start empty: `from=`, or an owner or mode other than the usual.
    pub identity: Option<String>,
}

impl CacheKey {
    /// The key of a cache that starts empty.
    #[must_use]
    pub fn new(id: impl Into<String>) -> Self {
        Self { id: id.into(), identity: None }
    }
}

/// People know a cache by the id that they wrote, without the slash of the empty namespace. Control characters are
/// escaped: an id may hold any byte and ends up in a terminal.
impl fmt::Display for CacheKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.id.strip_prefix('/').unwrap_or(&self.id).chars() {
            if c.is_control() {
                write!(f, "{}", c.escape_default())?;
            } else {
                write!(f, "{c}")?;
            }
        }
        Ok(())
    }
}

/// How the users of a cache share it (`pb.CacheSharingOpt`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Sharing {
    /// Several writers at once; a user that comes while a locked one runs gets a new, empty cache.
    Shared,
    /// A new cache for whoever finds it in use.
    Private,
    /// One user at a time; the others wait.
    Locked,
}

impl Sharing {
    /// The name in a Dockerfile.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Shared => "shared",
            Self::Private => "private",
            Self::Locked => "locked",
        }
    }
}

impl fmt::Display for Sharing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The cache side of a cache mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheUse {
    /// Which cache.
    pub key: CacheKey,
    /// How it is shared.
    pub sharing: Sharing,
}

/// What is mounted (`pb.MountType`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub enum MountKind {
    #[default]
    Bind,
    Cache,
    Tmpfs,
    Secret,
    Ssh,
}

impl MountKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Bind, Self::Cache, Self::Tmpfs, Self::Secret, Self::Ssh];

    /// The name in a Dockerfile.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Bind => "bind",
            Self::Cache => "cache",
            Self::Tmpfs => "tmpfs",
            Self::Secret => "secret",
            Self::Ssh => "ssh",
        }
    }
}

/// A mount of a step.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mount {
    /// What it mounts.
    pub kind: MountKind,
    /// Where it is mounted.
    pub target: String,
    /// Whether the step may not write to it.
    pub readonly: bool,
    /// The cache behind it, where it is a cache mount.
    pub cache: Option<CacheUse>,
    /// The step that makes what it starts from, where a step of the build does.
    pub input: Option<StepIndex>,
    /// Whether a primer has made the mountpoints inside it before the step starts.
    pub primed: bool,
    /// The bytes of its flag in the source, where they are known.
    pub span: Option<Range<usize>>,
}
