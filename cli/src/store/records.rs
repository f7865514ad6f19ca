//! A directory of records that only their owners change, each there as a whole or not at all, also over a crash.
//!
//! An owner keeps its record locked. So whether it still runs can be asked of the kernel, across pid namespaces too.

use std::borrow::Borrow as _;
use std::path::Path;
use std::time::Duration;

use rustix::io::Errno;

use super::directory::{self, Directory};
use super::error::Error;
use super::flock::Locked;
use super::{Mode, place, wait};

/// The file that writers share and whoever tidies up has alone: what has no name yet is nobody's then.
const WRITING: &str = ".writing";

/// The file that one holds who sets things right.
const TURN: &str = ".turn";

/// The records of one kind in a state directory.
#[derive(Debug)]
pub(crate) struct Records {
    directory: Directory,
}

/// A record of ours, locked for as long as this lives.
#[derive(Debug)]
pub(crate) struct Held {
    name: String,
    _locked: Locked,
}

impl Held {
    /// What the record is called.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

/// A record as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    /// What it is called.
    pub(crate) name: String,
    /// What it says; none where it says nothing that we would write.
    pub(crate) text: Option<String>,
    /// Whether its owner has it locked.
    pub(crate) is_held: bool,
}

/// While this lives nobody else sets things right.
#[derive(Debug)]
pub(crate) struct Alone {
    _locked: Locked,
}

impl Records {
    /// Opens the records of this kind in this process's state directory, and makes their directory where it is missing.
    ///
    /// # Errors
    /// When the state directory cannot be used.
    pub(crate) fn open(kind: &str) -> Result<Self, Error> {
        Self::open_in(&place::place()?, kind)
    }

    /// Opens the records of this kind in another state directory.
    ///
    /// # Errors
    /// As [`Records::open`].
    pub(crate) fn open_in(state: &Path, kind: &str) -> Result<Self, Error> {
        Ok(Self { directory: Directory::state(state)?.directory(kind)? })
    }

    /// Opens the records of this kind in another state directory, where there are some, and makes nothing.
    ///
    /// # Errors
    /// When the state directory is there and cannot be used.
    pub(crate) fn open_if_there(state: &Path, kind: &str) -> Result<Option<Self>, Error> {
        let state = Directory::state_if_there(state)?;
        let directory = state.map(|state| state.directory_if_there(kind)).transpose()?.flatten();
        Ok(directory.map(|directory| Self { directory }))
    }

    /// Adds a record. It is on the disk when this returns.
    ///
    /// # Errors
    /// When it cannot be written; then there is none.
    pub(crate) fn add(&self, bytes: &[u8]) -> Result<Held, Error> {
        let _writing = self.writing()?;
        let (name, locked) = self.directory.add(bytes, Locked::new)?;
        match self.directory.sync(locked.borrow()) {
            Ok(()) => Ok(Held { name, _locked: locked }),
            Err(refused) => {
                let _ = self.directory.remove(&name);
                Err(refused)
            }
        }
    }

    /// Lets a record of ours say something else. Where that cannot be written, it says what it said.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn change(&self, held: &mut Held, bytes: &[u8]) -> Result<(), Error> {
        let _writing = self.writing()?;
        held._locked = self.directory.put(&held.name, bytes, Locked::new)?;
        Ok(())
    }

    /// Lets a record that nobody holds say something else.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn put(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        let _writing = self.writing()?;
        self.directory.put(name, bytes, Ok).map(drop)
    }

    /// All records, in the order of their names.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub(crate) fn list(&self) -> Result<Vec<Found>, Error> {
        let names = self.directory.names()?;
        // What is gone meanwhile, or nothing of ours, is left out.
        Ok(names.iter().filter_map(|name| self.find(name).ok().flatten()).collect())
    }

    /// The record of this name; none where it is gone.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub(crate) fn find(&self, name: &str) -> Result<Option<Found>, Error> {
        let refused = |task, source| Error::refused(task, self.directory.path().join(name), source);
        let file = match self.directory.open_record(name) {
            Err(Errno::NOENT) => return Ok(None),
            opened => opened.map_err(|source| refused("open", source))?,
        };
        let tried = Locked::at_once(file, Mode::Shared).map_err(|source| refused("lock", source))?;
        let (text, is_held) = match tried {
            Ok(free) => (directory::read_record(free.borrow()), false),
            Err(held) => (directory::read_record(&held), true),
        };
        Ok(Some(Found { name: name.into(), text, is_held }))
    }

    /// Removes a record; one that is gone already is no error.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub(crate) fn remove(&self, name: &str) -> Result<(), Error> {
        self.directory.remove(name)
    }

    /// Removes what writers left who were killed, and tells how many files that were. Where somebody writes, none.
    ///
    /// # Errors
    /// When the directory cannot be listed.
    pub(crate) fn tidy(&self) -> Result<usize, Error> {
        let gate = self.directory.lock_file(WRITING)?;
        let Ok(Ok(_nobody_writes)) = Locked::at_once(gate, Mode::Exclusive) else { return Ok(0) };
        let unfinished = self.directory.unfinished()?;
        let unfinished = unfinished.iter().filter(|name| !matches!(name.as_str(), WRITING | TURN));
        unfinished.map(|name| self.directory.remove(name).map(|()| 1)).sum()
    }

    /// Waits until nobody else sets things right; none where the time is over first.
    ///
    /// # Errors
    /// When the operating system refuses.
    pub(crate) async fn turn(&self, limit: Duration) -> Result<Option<Alone>, Error> {
        let file = self.directory.lock_file(TURN)?;
        let locked = wait::meanwhile(file, Mode::Exclusive, limit, || {}).await;
        let locked = locked.map_err(|source| Error::refused("lock", self.directory.path(), source))?;
        Ok(locked.map(|locked| Alone { _locked: locked }))
    }

    fn writing(&self) -> Result<Locked, Error> {
        let gate = self.directory.lock_file(WRITING)?;
        Locked::wait(gate, Mode::Shared)
            .map_err(|source| Error::refused("lock", self.directory.path(), source))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records() -> (tempfile::TempDir, Records) {
        let place = tempfile::tempdir().unwrap();
        let records = Records::open_in(&place.path().join("state"), "things").unwrap();
        (place, records)
    }

    #[test]
    fn a_record_is_held_by_its_owner_through_its_changes() {
        let (_place, records) = records();
        let mut held = records.add(b"one").unwrap();
        let found = |text: &str, is_held| Found { name: held.name.clone(), text: Some(text.into()), is_held };
        let (one, two, left) = (found("one", true), found("two", true), found("two", false));
        assert_eq!(records.list().unwrap(), [one]);
        records.change(&mut held, b"two").unwrap();
        assert_eq!(records.list().unwrap(), [two]);
        drop(held);
        assert_eq!(records.list().unwrap(), std::slice::from_ref(&left));
        records.put(&left.name, b"three").unwrap();
        assert_eq!(records.list().unwrap(), [Found { text: Some("three".into()), ..left.clone() }]);
        records.remove(&left.name).unwrap();
        assert_eq!(records.list().unwrap(), []);
    }

    #[test]
    fn what_is_let_go_of_is_nobodys_though_a_child_still_has_it_open() {
        let (_place, records) = records();
        let held = records.add(b"one").unwrap();
        // As a child has it that another thread starts, until its exec.
        held._locked.pass_on().unwrap();
        let mut child =
            std::process::Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
        assert!(records.list().unwrap()[0].is_held);
        drop(held);
        assert!(!records.list().unwrap()[0].is_held);
        drop(child.stdin.take());
        child.wait().unwrap();
    }

    #[test]
    fn what_was_being_written_goes_unless_somebody_writes() {
        let (place, records) = records();
        let _held = records.add(b"one").unwrap();
        let left = place.path().join("state/things/.0123456789abcdef");
        std::fs::write(&left, "half").unwrap();
        let writing = records.writing().unwrap();
        assert_eq!(records.tidy().unwrap(), 0);
        drop(writing);
        assert_eq!(records.tidy().unwrap(), 1);
        assert!(!left.exists());
        assert_eq!(records.list().unwrap().len(), 1);
    }

    #[tokio::test]
    async fn one_at_a_time_sets_things_right() {
        let (_place, records) = records();
        let turn = records.turn(Duration::ZERO).await.unwrap().unwrap();
        assert!(records.turn(Duration::ZERO).await.unwrap().is_none());
        drop(turn);
        assert!(records.turn(Duration::ZERO).await.unwrap().is_some());
    }
}
