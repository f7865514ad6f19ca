//! An engine whose runc loses the race for a mountpoint, for a while.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use xtask::artifacts;
use xtask::engines::Engine;

/// As long as it lives, the engine's steps run the racing `runc`.
#[derive(Debug)]
pub(super) struct RacingRunc(PathBuf);

impl RacingRunc {
    /// # Errors
    /// When it cannot be built or put there.
    pub(super) fn put_before(engine: &Engine) -> Result<Self> {
        let runc = engine.wrappers().join("runc");
        fs::copy(artifacts::racing_runc()?, &runc)
            .with_context(|| format!("cannot create {}", runc.display()))?;
        Ok(Self(runc))
    }
}

impl Drop for RacingRunc {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.0) {
            eprintln!("warning: cannot remove {}: {error}", self.0.display());
        }
    }
}
