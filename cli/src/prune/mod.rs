//! Frees the disk without breaking a neighbour (docs/prune.md).
//!
//! [`inventory`] looks, [`choose`] decides, purely, [`execute`] deletes one by one and has each decided once more right
//! before, [`report`] tells.

pub mod choose;
pub mod disk;
pub mod execute;
pub mod inventory;
mod judge;
mod lineage;
mod names;
pub mod pattern;
pub mod report;

pub use choose::{Cause, Decision, Reason, Thing, Verdict};
pub use disk::Limits;
pub use inventory::Inventory;
pub use pattern::Pattern;

use std::time::Duration;

/// What a prune may delete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// What was not used for this long goes, whatever the disk says.
    pub older_than: Duration,
    /// What was used, or came, within this time stays, whatever the disk says.
    pub grace: Duration,
    /// Images with such a name stay.
    pub keep: Vec<Pattern>,
    /// Images go only if all of their names are such ones. Empty: any.
    pub repositories: Vec<Pattern>,
    /// Whether images without a name may go.
    pub dangling: bool,
    /// Whether containers of `ci-build` that have ended may go.
    pub containers: bool,
    /// Whether anonymous volumes without a container may go.
    pub volumes: bool,
    /// Whether networks without a container may go.
    pub networks: bool,
    /// Whether BuildKit's cache may go, and which part.
    pub build_cache: Option<CacheSettings>,
}

/// Which build cache may go.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CacheSettings {
    /// Only cache mounts with such an id. Empty: all records.
    pub mounts: Vec<Pattern>,
    /// The least recently used goes until all together have no more bytes than this.
    pub max_size: Option<u64>,
}
