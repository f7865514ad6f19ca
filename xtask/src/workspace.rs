//! Where this workspace lies.

use std::{
    env,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

/// The directory of the workspace's `Cargo.toml`.
#[must_use]
pub fn root() -> &'static Path {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask)
}

/// Cargo's target directory.
///
/// # Errors
/// When the current directory is gone, which a relative `CARGO_TARGET_DIR` starts from.
pub fn target() -> Result<PathBuf> {
    match env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => std::path::absolute(dir).context("cannot resolve CARGO_TARGET_DIR"),
        None => Ok(root().join("target")),
    }
}
