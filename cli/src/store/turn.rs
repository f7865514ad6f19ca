//! One at a time: who does what others want done too does it once, and they find it done.

use std::time::Duration;

use super::error::Error;
use super::flock::Locked;
use super::{Mode, Store, wait};
use crate::image::Digest;

/// While this lives nobody else does what is about this digest.
#[derive(Debug)]
pub struct Turn {
    _locked: Locked,
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
        let locked = wait::within(file, Mode::Exclusive, limit.max(wait::LEAST), tell)
            .map_err(|source| Error::refused("lock", turns.path(), source))?;
        Ok(locked.map(|locked| Turn { _locked: locked }))
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
