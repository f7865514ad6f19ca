//! One at a time: who does what others want done too does it once, and they find it done.

use std::fs::File;
use std::time::Duration;

use super::directory::Directory;
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
    /// Waits for the turn to get what this digest means. None when the time is over, and at once where there is none.
    /// `tell` is called once, where it takes more than a moment.
    ///
    /// Lock files are never deleted, so there are 4096 of them at most. Digests that share one wait for each other.
    ///
    /// # Errors
    /// When the state directory does not play along.
    pub async fn turn(
        &self,
        digest: &Digest,
        limit: Duration,
        tell: impl FnMut(),
    ) -> Result<Option<Turn>, Error> {
        let (turns, file) = self.turn_file(digest)?;
        let locked = wait::meanwhile(file, Mode::Exclusive, limit, tell).await;
        let locked = locked.map_err(|source| Error::refused("lock", turns.path(), source))?;
        Ok(locked.map(|locked| Turn { _locked: locked }))
    }

    /// The turn, where it is nobody's.
    ///
    /// # Errors
    /// As [`Store::turn`].
    pub(super) fn turn_at_once(&self, digest: &Digest) -> Result<Option<Turn>, Error> {
        let (turns, file) = self.turn_file(digest)?;
        let locked = Locked::at_once(file, Mode::Exclusive);
        let locked = locked.map_err(|source| Error::refused("lock", turns.path(), source))?;
        Ok(locked.ok().map(|locked| Turn { _locked: locked }))
    }

    fn turn_file(&self, digest: &Digest) -> Result<(Directory, File), Error> {
        let turns = self.directory.directory("turns")?;
        let file = turns.lock_file(&digest.hex()[..3])?;
        Ok((turns, file))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Identity;

    #[tokio::test]
    async fn turns_are_taken_one_by_one() {
        let state = tempfile::tempdir().unwrap();
        let store = Store::open_in(&state.path().join("state"), Identity::Named("x".into())).unwrap();
        let digest = Digest::of(b"image");
        let first = store.turn(&digest, Duration::ZERO, || {}).await.unwrap().unwrap();
        assert!(store.turn(&digest, Duration::ZERO, || {}).await.unwrap().is_none());
        assert!(store.turn_at_once(&digest).unwrap().is_none());
        assert!(store.turn(&Digest::of(b"other"), Duration::ZERO, || {}).await.unwrap().is_some());
        drop(first);
        assert!(store.turn(&digest, Duration::ZERO, || {}).await.unwrap().is_some());
        assert!(store.turn_at_once(&digest).unwrap().is_some());
    }
}
