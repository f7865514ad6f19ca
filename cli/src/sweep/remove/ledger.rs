//! What is known of a removal while it happens, by all threads: it is written down, counted, and told.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use rustix::io::Errno;

use super::super::choose::{Cause, Reason};
use super::super::error::Error;
use super::super::trail::{Line, Shown, Trail};
use super::super::tree::{Id, Tree};
use super::super::unit::{Unit, Units};
use super::Event;

pub(super) struct Ledger<'a> {
    tree: &'a Tree,
    units: &'a Units,
    trail: &'a Trail,
    /// The trail cannot be written: nothing more is to be removed.
    is_ended: AtomicBool,
    told: Mutex<Told<'a>>,
}

struct Told<'a> {
    tell: &'a mut (dyn FnMut(&Event) + Send),
    /// How many names are left in each directory.
    left: Vec<u32>,
    /// The numbers of files that were found in use, for the record of our own.
    seen_in_use: HashSet<u64>,
}

impl<'a> Ledger<'a> {
    pub(super) fn new(
        tree: &'a Tree,
        units: &'a Units,
        trail: &'a Trail,
        tell: &'a mut (dyn FnMut(&Event) + Send),
    ) -> Self {
        let told = Mutex::new(Told { tell, left: tree.children(), seen_in_use: HashSet::new() });
        Self { tree, units, trail, is_ended: AtomicBool::new(false), told }
    }

    /// Whether nothing more is to be removed.
    pub(super) fn is_ended(&self) -> bool {
        self.is_ended.load(Ordering::Relaxed)
    }

    /// Which entries have nothing in them.
    pub(super) fn empty(&self) -> Vec<bool> {
        self.told().left.iter().map(|&left| left == 0).collect()
    }

    pub(super) fn into_seen_in_use(self) -> HashSet<u64> {
        self.told.into_inner().unwrap_or_else(PoisonError::into_inner).seen_in_use
    }

    /// Whether nothing is left in a directory.
    pub(super) fn is_empty(&self, directory: Id) -> bool {
        self.told().left[directory.index()] == 0
    }

    pub(super) fn removed(&self, unit: Unit, id: Id, freed: u64, cause: Cause) -> Result<(), Error> {
        let path = self.tree.path(id);
        let head = self.units.head(unit);
        let head = (head != id).then(|| self.tree.path(head));
        let used = Timestamp::from_nanosecond(self.tree.entry(id).used.into()).unwrap_or_default();
        let unit = head.as_deref().map(Shown);
        self.write(&Line::Removed { path: Shown(&path), freed, cause: cause.word(), used, unit })?;
        self.tell_gone(id, &Event::Removed { id, freed, cause });
        Ok(())
    }

    pub(super) fn directory(&self, id: Id) -> Result<(), Error> {
        self.write(&Line::Directory { path: Shown(&self.tree.path(id)) })?;
        self.tell_gone(id, &Event::Directory(id));
        Ok(())
    }

    pub(super) fn failed(&self, id: Id, errno: Errno) -> Result<(), Error> {
        let error = std::io::Error::from(errno).to_string();
        self.write(&Line::Failed { path: Shown(&self.tree.path(id)), error })?;
        (self.told().tell)(&Event::Failed(id, errno));
        Ok(())
    }

    pub(super) fn gone(&self, id: Id) {
        self.tell_gone(id, &Event::Gone(id));
    }

    pub(super) fn stays(&self, unit: Unit, reason: Reason) {
        let mut told = self.told();
        // A tool's lock is about all of its cache, and says nothing of this.
        if matches!(reason, Reason::Open | Reason::Locked) {
            told.seen_in_use.extend(self.units.entries(unit).map(|id| self.tree.entry(id).inode));
        }
        (told.tell)(&Event::Stays(unit, reason));
    }

    fn tell_gone(&self, id: Id, event: &Event) {
        let mut told = self.told();
        told.left[self.tree.entry(id).parent().index()] -= 1;
        (told.tell)(event);
    }

    fn write(&self, line: &Line<'_>) -> Result<(), Error> {
        let written = self.trail.add(line);
        self.is_ended.fetch_or(written.is_err(), Ordering::Relaxed);
        written
    }

    fn told(&self) -> MutexGuard<'_, Told<'a>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
