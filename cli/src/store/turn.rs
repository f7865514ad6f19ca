//! One at a time: who does what others want done too does it once, and they find it done.

use std::fs::File;
use std::path::PathBuf;
use std::time::Duration;

use rustix::fs::FlockOperation;

use super::Store;
use super::error::Error;
use super::wait;
use crate::image::Digest;

/// While this lives nobody else does what is about this digest.
#[derive(Debug)]
pub struct Turn {
    _file: File,
}

impl Store {
    /// Waits for the turn to get what this digest means. None when the time is over. `tell` is called once, where it takes
    /// more than a moment.
    ///
    /// Lock files are never deleted, so there are 4096 of them at most. Digests that share one wait for each other.
    ///
    /// # Errors
    /// When the state directory does not play along.
    pub fn turn(&self, digest: &Digest, limit: Duration, tell: impl FnMut()) -> Result<Option<Turn>, Error> {
        let turns = self.directory.directory("turns")?;
        let file = turns.lock_file(&digest.hex()[..3])?;
        let refused = |source| Error::refused("lock", turns.path(), source);
        if wait::at_once(&file, FlockOperation::NonBlockingLockExclusive).map_err(refused)? {
            return Ok(Some(Turn { _file: file }));
        }
        let waited = wait::within(file, FlockOperation::LockExclusive, limit, tell).map_err(refused)?;
        Ok(waited.map(|file| Turn { _file: file }))
    }

    /// The directory for what is on its way into the store.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn on_its_way(&self) -> Result<PathBuf, Error> {
        Ok(self.directory.directory("fetch")?.path().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Identity;

    #[test]
    fn turns_are_taken_one_by_one() {
        let state = tempfile::tempdir().unwrap();
        let store = Store::open_in(&state.path().join("state"), Identity::Named("x".into())).unwrap();
        let digest = Digest::of(b"image");
        let first = store.turn(&digest, Duration::ZERO, || {}).unwrap().unwrap();
        assert!(store.turn(&digest, Duration::ZERO, || {}).unwrap().is_none());
        assert!(store.turn(&Digest::of(b"other"), Duration::ZERO, || {}).unwrap().is_some());
        drop(first);
        assert!(store.turn(&digest, Duration::ZERO, || {}).unwrap().is_some());
    }
}
