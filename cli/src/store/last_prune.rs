//! What the last prune of a store did, for whoever asks what keeps the disk free; and that there is one at a time.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::directory::{self, Directory};
use super::error::Error;
use super::flock::Locked;
use super::{Mode, Store};

const NAME: &str = "last-prune.json";

/// One prune, when it was over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastPrune {
    /// When it ended.
    pub when: Timestamp,
    /// By how much the room on the engine's disk had grown, in bytes; 0 where the disk could not be seen.
    pub freed_bytes: u64,
    /// How many images, containers and caches it removed.
    pub removed: u64,
    /// How many it could not remove, and will try again.
    pub failed: u64,
}

impl Store {
    /// Becomes the one who prunes, as long as the lock lives. None where somebody does already.
    ///
    /// # Errors
    /// When a lock file cannot be had.
    pub fn prune_alone(&self) -> Result<Option<Locked>, Error> {
        let file = self.lock_file("prune")?;
        // Deletions need it, and one that is to free a full disk could not make it.
        self.leases()?.quiet_file()?;
        let tried = Locked::at_once(file, Mode::Exclusive)
            .map_err(|source| Error::refused("lock", self.path(), source))?;
        Ok(tried.ok())
    }

    /// What the last prune did; none where there was none, or it left nothing that can be read.
    pub fn last_prune(&self) -> Option<LastPrune> {
        read(&self.directory)
    }

    /// Keeps what a prune did.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn set_last_prune(&self, prune: &LastPrune) -> Result<(), Error> {
        self.directory.replace(NAME, &serde_json::to_vec(prune).unwrap_or_default())
    }
}

pub(super) fn read(store: &Directory) -> Option<LastPrune> {
    let file = store.open_record(NAME).ok()?;
    serde_json::from_str(&directory::read_record(&file)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Identity;

    #[test]
    fn the_last_one_is_kept() {
        let state = tempfile::tempdir().unwrap();
        let store = Store::open_in(&state.path().join("state"), Identity::Named("x".into())).unwrap();
        assert_eq!(store.last_prune(), None);
        let prune =
            |removed| LastPrune { when: Timestamp::UNIX_EPOCH, freed_bytes: 1 << 40, removed, failed: 0 };
        store.set_last_prune(&prune(1)).unwrap();
        store.set_last_prune(&prune(2)).unwrap();
        assert_eq!(store.last_prune(), Some(prune(2)));
        std::fs::write(state.path().join("state/stores/name.x/last-prune.json"), "{").unwrap();
        assert_eq!(store.last_prune(), None);
    }
}
