//! Units of several entries: such a one goes whole or stays whole.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{self, Mode, RenameFlags};
use rustix::io::Errno;

use super::super::busy;
use super::super::choose::{Cause, ON_ITS_WAY, Reason};
use super::super::error::Error;
use super::super::place;
use super::super::tree::Id;
use super::super::unit::{Parts, Unit};
use super::check::Kept;
use super::{Ground, Remover};

impl Remover<'_, '_> {
    /// Removes a unit as a whole, or leaves it as a whole.
    pub(super) fn whole(&mut self, unit: Unit, cause: Cause) -> Result<(), Error> {
        let Ground { tree, units, .. } = self.ground;
        let Some(parts) = units.parts(unit) else { return Ok(()) };
        let locks: Result<Vec<Option<OwnedFd>>, Reason> =
            parts.locks.iter().map(|&lock| self.tool_lock(lock)).collect();
        let _locks = match locks {
            Ok(locks) => locks,
            Err(reason) => {
                self.ledger.stays(unit, reason);
                return Ok(());
            }
        };
        let entries: Vec<Id> = units.entries(unit).filter(|&id| !self.is_needed_by_others(id)).collect();
        // All of it is looked at before any of it goes.
        for &id in &entries {
            match self.check(id) {
                Ok(_) | Err(Kept::Gone) => {}
                Err(Kept::Stays(reason)) => {
                    self.ledger.stays(unit, reason);
                    return Ok(());
                }
                Err(Kept::Failed(errno)) => return self.ledger.failed(id, errno),
            }
        }
        if self.is_needed_by_new_ones(parts) {
            self.ledger.stays(unit, Reason::Touched);
            return Ok(());
        }
        if let Err((id, errno)) = self.put_all_aside(parts) {
            return self.ledger.failed(id, errno);
        }
        if !parts.watched.is_empty() {
            self.watch.put_aside(entries.iter().copied().filter(|&id| tree.entry(id).is_directory()));
        }
        self.make_writable(&entries);
        for id in units.entries(unit) {
            if let Some(needed) = self.needed.get_mut(&id) {
                *needed -= 1;
            }
        }
        for id in entries {
            if tree.entry(id).is_directory() {
                self.directory(id)?;
                continue;
            }
            // What is left of it is no half of anything: nothing leads to it, but what is new.
            if !self.watch.is_aside(tree.entry(id).parent()) && self.is_needed_by_new_ones(parts) {
                self.ledger.stays(unit, Reason::Touched);
                return Ok(());
            }
            self.entry(unit, cause, id)?;
        }
        Ok(())
    }

    /// Whether something came since the scan that may need what is in the unit.
    fn is_needed_by_new_ones(&mut self, parts: &Parts) -> bool {
        self.watch.is_changed(&parts.watched, &mut self.directories, self.ground.tree)
    }

    /// Whether units that stay need it. It is told on the way which of them went.
    fn is_needed_by_others(&mut self, id: Id) -> bool {
        let owners = self.ground.units.of(self.ground.tree, id).count();
        owners > 1 && *self.needed.entry(id).or_insert(owners) > 1
    }

    /// The lock file of a tool, locked; none where it is gone.
    fn tool_lock(&mut self, id: Id) -> Result<Option<OwnedFd>, Reason> {
        let tree = self.ground.tree;
        let Ok(parent) = self.directories.open(tree.entry(id).parent()) else { return Ok(None) };
        match self.ground.place.file(parent.as_fd(), tree.name(id)) {
            Ok(file) => match busy::lock(&file) {
                Ok(()) => Ok(Some(file)),
                Err(_) => Err(Reason::ToolLocked),
            },
            Err(Errno::NOENT) => Ok(None),
            Err(_) => Err(Reason::ToolLocked),
        }
    }

    /// Puts all directories aside that go whole, or none of them.
    fn put_all_aside(&mut self, parts: &Parts) -> Result<(), (Id, Errno)> {
        let mut aside = Vec::new();
        for &whole in &parts.whole {
            match self.put_aside(whole) {
                Ok(()) => aside.push(whole),
                Err(Errno::NOENT) => {}
                Err(errno) => {
                    aside.into_iter().for_each(|id| self.put_back(id));
                    return Err((whole, errno));
                }
            }
        }
        Ok(())
    }

    /// Gives the owner of directories that go the right to remove what is in them: Go takes it from all of a module's.
    fn make_writable(&mut self, entries: &[Id]) {
        for &id in entries.iter().filter(|&&id| self.ground.tree.entry(id).is_directory()) {
            // Whoever may not do that, or finds another one there, is told so by what is in it.
            if let Ok(fd) = self.directories.open(id)
                && let Ok(mode) = place::look(&fd).map(|stat| stat.stx_mode)
                && mode & 0o700 != 0o700
            {
                let _ = fs::fchmod(&fd, Mode::from_raw_mode((mode & 0o7777) as u32 | 0o700));
            }
        }
    }

    /// Gives a directory that goes whole another name.
    fn put_aside(&mut self, id: Id) -> Result<(), Errno> {
        let tree = self.ground.tree;
        let parent = self.directories.open(tree.entry(id).parent())?;
        // So that it is known by its number, whatever stands there by now.
        self.directories.open(id)?;
        let name = tree.name(id).to_bytes();
        if name.starts_with(ON_ITS_WAY.as_bytes()) {
            return Ok(());
        }
        let aside = format!("{ON_ITS_WAY}{}-{}", std::process::id(), id.index());
        // What was made here of ASCII has no zero in it.
        let aside = CString::new(aside).map_err(|_| Errno::INVAL)?;
        let rename = |from: &CStr, to: &CStr| {
            fs::renameat_with(parent.as_fd(), from, parent.as_fd(), to, RenameFlags::NOREPLACE)
        };
        let above = tree.entry(id).parent();
        let is_as_known = self.watch.is_as_known(above, &mut self.directories);
        rename(tree.name(id), &aside)?;
        if is_as_known {
            self.watch.changed(above, &mut self.directories);
        }
        // Somebody may have put another one there since it was opened: that one gets its name again.
        let wrong = match place::look_at(parent.as_fd(), &aside) {
            Ok(found) => (found.stx_ino != tree.entry(id).inode).then_some(Errno::NOENT),
            Err(errno) => Some(errno),
        };
        if let Some(errno) = wrong {
            return rename(&aside, tree.name(id)).and(Err(errno));
        }
        self.directories.rename(id, aside);
        Ok(())
    }

    /// Gives a directory that was put aside its name again, since its unit stays. One that cannot have it goes with the next sweep.
    fn put_back(&mut self, id: Id) {
        let tree = self.ground.tree;
        let Ok(parent) = self.directories.open(tree.entry(id).parent()) else { return };
        let (aside, name) = (self.directories.name(id), tree.name(id));
        let renamed = fs::renameat_with(parent.as_fd(), aside, parent.as_fd(), name, RenameFlags::NOREPLACE);
        if renamed.is_ok() {
            self.directories.rename(id, name.to_owned());
        }
    }
}
