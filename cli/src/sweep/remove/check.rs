//! Looks at an entry once more, right before it goes.

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

use rustix::fs::{FileType, Statx};
use rustix::io::Errno;

use super::super::busy;
use super::super::choose::Reason;
use super::super::clock;
use super::super::place::{self, Key};
use super::super::tree::{Entry, Id, Kind};
use super::Remover;

/// Why one entry is not removed now.
pub(super) enum Kept {
    Stays(Reason),
    Gone,
    Failed(Errno),
}

impl From<Reason> for Kept {
    fn from(reason: Reason) -> Self {
        Self::Stays(reason)
    }
}

/// An entry that may go: how it is now, and its lock, as long as it is open.
pub(super) struct Checked {
    pub(super) stat: Statx,
    _locked: Option<OwnedFd>,
    _beside: Vec<OwnedFd>,
}

impl Remover<'_, '_> {
    /// Looks at an entry once more.
    pub(super) fn check(&mut self, id: Id) -> Result<(Rc<OwnedFd>, Checked), Kept> {
        let entry = self.ground.tree.entry(id);
        let parent = self.open_parent(entry)?;
        let checked = self.look(id, parent.as_fd(), self.directories.name(id))?;
        Ok((parent, checked))
    }

    fn open_parent(&mut self, entry: &Entry) -> Result<Rc<OwnedFd>, Kept> {
        self.directories.open(entry.parent()).map_err(|errno| match errno {
            Errno::NOENT => Kept::Gone,
            // It is another thing by now.
            Errno::LOOP | Errno::NOTDIR | Errno::XDEV => Kept::Stays(Reason::Touched),
            errno => Kept::Failed(errno),
        })
    }

    fn look(&self, id: Id, parent: BorrowedFd<'_>, name: &CStr) -> Result<Checked, Kept> {
        let ground = &self.ground;
        let entry = ground.tree.entry(id);
        let of_open = |errno| match errno {
            Errno::NOENT => Kept::Gone,
            Errno::LOOP | Errno::NXIO | Errno::NOTDIR => Reason::Touched.into(),
            // A lease is taken from whoever has it only after a while.
            Errno::WOULDBLOCK => Reason::Locked.into(),
            Errno::ACCESS => Reason::Unread.into(),
            errno => Kept::Failed(errno),
        };
        let (stat, file) = match entry.kind {
            Kind::File => {
                let file = ground.place.file(parent, name).map_err(of_open)?;
                (place::look(&file).map_err(Kept::Failed)?, Some(file))
            }
            _ => (place::look_at(parent, name).map_err(of_open)?, None),
        };
        let kind = Kind::from(FileType::from_raw_mode(stat.stx_mode.into()));
        let is_changed = || {
            clock::nanoseconds(&stat.stx_mtime) != entry.modified
                || (!entry.is_directory()
                    && (stat.stx_size != entry.size || ground.clock.used(&stat) > entry.used))
        };
        let is_other = Key::of(&stat) != Key { device: ground.place.key().device, inode: entry.inode };
        let reason = match () {
            () if place::is_mount(&stat) => Some(Reason::Mounted),
            () if is_other || kind != entry.kind || is_changed() => Some(Reason::Touched),
            () if !ground.how.owners.has(stat.stx_uid) => Some(Reason::Foreign),
            () if self.in_use.has(stat.stx_ino) => Some(Reason::Open),
            () if file.as_ref().is_some_and(|file| busy::lock(file).is_err()) => Some(Reason::Locked),
            () => None,
        };
        match reason {
            Some(reason) => Err(reason.into()),
            None => Ok(Checked { stat, _beside: self.lock_beside(id, parent)?, _locked: file }),
        }
    }

    /// The lock files of a file, locked; those that are gone, nobody has.
    fn lock_beside(&self, id: Id, parent: BorrowedFd<'_>) -> Result<Vec<OwnedFd>, Kept> {
        let mut locked = Vec::new();
        for &lock in self.beside.locks(id) {
            match self.ground.place.file(parent, self.ground.tree.name(lock)) {
                Ok(file) if busy::lock(&file).is_ok() => locked.push(file),
                Err(Errno::NOENT) => {}
                _ => return Err(Reason::ToolLocked.into()),
            }
        }
        Ok(locked)
    }
}
