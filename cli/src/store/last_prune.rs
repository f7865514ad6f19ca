//! What the last prune of a store did, and that there is one at a time.

use std::fs::File;

use jiff::Timestamp;
use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};

use super::error::Error;
use super::{Store, wait};

const RECORD: &str = "last-prune.json";

/// What the last prune did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastPrune {
    /// When it ended.
    pub at: Timestamp,
    /// The bytes by which the engine's disk had more room afterwards; none where the disk could not be seen.
    pub freed_bytes: Option<i64>,
    /// How many things it deleted.
    pub removed: usize,
    /// How many it could not delete.
    pub failed: usize,
}

impl Store {
    /// Becomes the one who prunes, until the file is closed. None where somebody does already.
    ///
    /// # Errors
    /// When the lock file cannot be had.
    pub fn prune_alone(&self) -> Result<Option<File>, Error> {
        let file = self.lock_file("prune")?;
        let is_ours = wait::at_once(&file, FlockOperation::NonBlockingLockExclusive)
            .map_err(|source| Error::refused("lock", self.path(), source))?;
        Ok(is_ours.then_some(file))
    }

    /// Keeps what a prune did.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn set_last_prune(&self, last: &LastPrune) -> Result<(), Error> {
        self.directory.replace(RECORD, &serde_json::to_vec(last).unwrap_or_default())
    }
}
