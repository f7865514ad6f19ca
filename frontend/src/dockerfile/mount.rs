//! `RUN --mount=…`.

use crate::graph::Sharing;

/// A mount of a RUN, its words expanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunMount {
    /// bind, cache, tmpfs, secret or ssh.
    pub kind: MountKind,
    /// The stage or image that it comes from; empty for the build context.
    pub from: String,
    /// The path in there.
    pub source: String,
    /// Where it is mounted, as written.
    pub target: String,
    /// Whether the step may not write to it.
    pub readonly: bool,
    /// A cache's or a secret's id, as written; empty for the default.
    pub id: String,
    /// How a cache is shared, if it says so.
    pub sharing: Option<Sharing>,
    /// Owner and mode, if given.
    pub uid: Option<u32>,
    /// See `uid`.
    pub gid: Option<u32>,
    /// See `uid`.
    pub mode: Option<u32>,
}

/// What is mounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum MountKind {
    Bind,
    Cache,
    Tmpfs,
    Secret,
    Ssh,
}
