//! When images were used last, as far as is known on this host: by events of the engine (`ci-build watch`) and by what
//! our own commands do.
//!
//! A record is an empty file that is named by the image's id and was changed when the image was used: to write one is one
//! call of the system, which a crash cannot leave half done, and needs no lock. Those of images that are gone are forgotten
//! by the next prune.

use std::collections::HashMap;

use jiff::Timestamp;

use super::directory::Directory;
use super::error::Error;
use super::flock::Locked;
use super::{Mode, Store, wait};

/// It was made when the images that had no record for want of a look were given theirs.
const BEGUN: &str = ".begun";

/// Whoever watches the engine's events keeps it locked, and changes it with each event.
const WATCH: &str = ".watch";

/// It was made when the one who watches began to follow the events.
const WATCHED_SINCE: &str = ".watched-since";

/// The records of a store.
#[derive(Debug)]
pub struct LastUses {
    directory: Directory,
}

impl Store {
    /// When the store's images were used last.
    ///
    /// # Errors
    /// When the directory of the records cannot be had.
    pub fn last_uses(&self) -> Result<LastUses, Error> {
        Ok(LastUses { directory: self.directory.directory("last-use")? })
    }
}

impl LastUses {
    /// The image of this id is used right now.
    ///
    /// # Errors
    /// When it cannot be written down.
    pub fn touch(&self, id: &str) -> Result<(), Error> {
        self.record(id, Timestamp::now())
    }

    /// The image of this id was used at this time, and maybe later.
    ///
    /// # Errors
    /// When it cannot be written down.
    pub fn record(&self, id: &str, at: Timestamp) -> Result<(), Error> {
        match file_name(id) {
            Some(name) => self.directory.stamp(&name, at),
            // No engine has such an id.
            None => Ok(()),
        }
    }

    /// When the image of this id was used last.
    pub fn of(&self, id: &str) -> Option<Timestamp> {
        self.directory.changed(&file_name(id)?)
    }

    /// When images were used last, by their ids.
    ///
    /// # Errors
    /// When the records cannot be listed.
    pub fn all(&self) -> Result<HashMap<String, Timestamp>, Error> {
        let names = self.directory.names()?.into_iter();
        Ok(names
            .filter_map(|name| Some((name.replacen('.', ":", 1), self.directory.changed(&name)?)))
            .collect())
    }

    /// Forgets an image that is gone.
    ///
    /// # Errors
    /// When the record cannot be removed.
    pub fn forget(&self, id: &str) -> Result<(), Error> {
        file_name(id).map_or(Ok(()), |name| self.directory.remove(&name))
    }

    /// Since when every image has a record, so that one without has come since the last look. None before the first one.
    pub fn since(&self) -> Option<Timestamp> {
        self.directory.changed(BEGUN)
    }

    /// Every image has a record now.
    ///
    /// # Errors
    /// When it cannot be written down.
    pub fn begin(&self) -> Result<(), Error> {
        match self.since() {
            Some(_) => Ok(()),
            None => self.directory.stamp(BEGUN, Timestamp::now()),
        }
    }

    /// Becomes the one who watches the engine's events, as long as the lock lives. None where somebody does already.
    ///
    /// # Errors
    /// When the lock file cannot be had.
    pub fn watch(&self) -> Result<Option<Locked>, Error> {
        let file = self.directory.lock_file(WATCH)?;
        // Whoever asks whether there is a watch has it locked for a moment.
        let watch = wait::within(file, Mode::Exclusive, wait::LEAST, || {})
            .map_err(|source| Error::refused("lock", self.directory.path(), source))?;
        if watch.is_some() {
            // What happened since the last watch may be lost.
            self.directory.remove(WATCHED_SINCE)?;
        }
        Ok(watch)
    }

    /// The engine's events are followed from now on, or have been since this watch began.
    ///
    /// # Errors
    /// When it cannot be written down.
    pub fn begin_watch(&self) -> Result<(), Error> {
        match self.directory.changed(WATCHED_SINCE) {
            Some(_) => Ok(()),
            None => self.directory.stamp(WATCHED_SINCE, Timestamp::now()),
        }
    }

    /// Since when somebody has watched the engine's events without a break. None where nobody does.
    ///
    /// # Errors
    /// When the lock file cannot be had.
    pub fn watched_since(&self) -> Result<Option<Timestamp>, Error> {
        let file = self.directory.lock_file(WATCH)?;
        let tried = Locked::at_once(file, Mode::Shared)
            .map_err(|source| Error::refused("lock", self.directory.path(), source))?;
        Ok(tried.err().and_then(|_| self.directory.changed(WATCHED_SINCE)))
    }

    /// Up to when the engine's events are known.
    pub fn watched_until(&self) -> Option<Timestamp> {
        self.directory.changed(WATCH)
    }

    /// The engine's events are known up to this time.
    ///
    /// # Errors
    /// When it cannot be written down.
    pub fn set_watched_until(&self, at: Timestamp) -> Result<(), Error> {
        self.directory.stamp(WATCH, at)
    }
}

/// `sha256:…` as the name of a file. None for what is no id.
fn file_name(id: &str) -> Option<String> {
    let (algorithm, digest) = id.split_once(':')?;
    let is_plain = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let is_id = is_plain(algorithm) && is_plain(digest) && id.len() <= 200;
    is_id.then(|| format!("{algorithm}.{digest}"))
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::store::Identity;

    #[test]
    fn the_last_use_counts_whatever_the_order_it_is_told_in() {
        let state = tempfile::tempdir().unwrap();
        let store = Store::open_in(&state.path().join("state"), Identity::Named("x".into())).unwrap();
        let uses = store.last_uses().unwrap();
        let early = Timestamp::from_second(1_000_000_000).unwrap();
        let late = early + SignedDuration::from_hours(1);
        assert_eq!((uses.of("sha256:a"), uses.since()), (None, None));
        for at in [early, late, early] {
            uses.record("sha256:a", at).unwrap();
        }
        uses.touch("sha256:b").unwrap();
        assert_eq!(uses.of("sha256:a"), Some(late));
        assert!(uses.of("sha256:b").unwrap() > late);
        uses.touch("../../evil").unwrap();
        uses.touch("sha256:../evil").unwrap();
        uses.begin().unwrap();
        assert!(uses.since().is_some());
        let mut ids: Vec<_> = uses.all().unwrap().into_keys().collect();
        ids.sort_unstable();
        assert_eq!(ids, ["sha256:a", "sha256:b"]);
        uses.forget("sha256:a").unwrap();
        uses.forget("sha256:a").unwrap();
        assert_eq!(uses.all().unwrap().len(), 1);
    }

    #[test]
    fn one_watches_at_a_time() {
        let state = tempfile::tempdir().unwrap();
        let store = Store::open_in(&state.path().join("state"), Identity::Named("x".into())).unwrap();
        let uses = store.last_uses().unwrap();
        assert_eq!(uses.watched_since().unwrap(), None);
        let watch = uses.watch().unwrap();
        assert!(watch.is_some() && uses.watched_since().unwrap().is_none(), "nothing is followed yet");
        uses.begin_watch().unwrap();
        let since = uses.watched_since().unwrap();
        uses.begin_watch().unwrap();
        assert!(
            since.is_some() && uses.watched_since().unwrap() == since,
            "the engine was lost for a moment"
        );
        drop(watch);
        assert_eq!(uses.watched_since().unwrap(), None);
        let watch = uses.watch().unwrap();
        assert_eq!(uses.watched_since().unwrap(), None, "what happened meanwhile is not known");
        // Last, since a request that is given up still has the lock for a moment when it is free.
        assert!(watch.is_some() && uses.watch().unwrap().is_none());
    }
}
