//! The checks, one a file: what is looked at, what was found, what to do.

pub(super) mod binfmt;
pub(super) mod buildkit;
pub(super) mod buildx;
pub(super) mod disk;
pub(super) mod engine;
pub(super) mod frontend;
pub(super) mod image_store;
pub(super) mod inodes;
pub(super) mod lock_directory;
pub(super) mod mirrors;
pub(super) mod runc;
pub(super) mod steps;

#[cfg(test)]
mod tests;

use super::{Facts, Finding};

/// What is said of a disk that cannot be looked at from here.
fn unseen(facts: &Facts) -> Finding {
    match &facts.engine {
        Err(_) => Finding::no_engine(),
        Ok(info) if !info.is_local => Finding::unknown("the engine is on another host"),
        Ok(_) => Finding::unknown("this user cannot look at the engine's directory"),
    }
}
