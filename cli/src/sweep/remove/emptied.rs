//! Removes directories that are empty, the inner ones first.

use std::os::fd::AsFd;

use rustix::fs::{self, AtFlags};
use rustix::io::Errno;

use super::super::choose;
use super::super::error::Error;
use super::super::place;
use super::super::tree::Id;
use super::{Empty, Ground, Remover};

impl Remover<'_, '_> {
    /// Removes those that are empty by now, of those that were empty before, where that counts.
    pub(super) fn emptied(&mut self, was_empty: Option<&[bool]>) -> Result<(), Error> {
        let Ground { tree, rules, how, now, .. } = self.ground;
        if how.empty == Empty::Never {
            return Ok(());
        }
        for id in tree.below().rev().filter(|&id| tree.entry(id).is_directory()) {
            let may_go = was_empty.is_none_or(|was_empty| was_empty[id.index()]);
            if may_go && self.ledger.is_empty(id) && choose::is_old_directory(tree, rules, now, id) {
                self.directory(id)?;
            }
        }
        Ok(())
    }

    /// Removes a directory if it is empty, and nobody works in it.
    pub(super) fn directory(&mut self, id: Id) -> Result<(), Error> {
        let entry = self.ground.tree.entry(id);
        self.pace.wait();
        let Ok(parent) = self.directories.open(entry.parent()) else { return Ok(()) };
        let name = self.directories.name(id).to_owned();
        let Ok(stat) = place::look_at(parent.as_fd(), &name) else { return Ok(()) };
        let is_other = stat.stx_ino != entry.inode || place::is_mount(&stat);
        if is_other || self.in_use.has(stat.stx_ino) || !self.ground.how.owners.has(stat.stx_uid) {
            return Ok(());
        }
        self.directories.close(id);
        let is_as_known = self.watch.is_as_known(entry.parent(), &mut self.directories);
        match fs::unlinkat(parent.as_fd(), &name, AtFlags::REMOVEDIR) {
            Ok(()) => {
                self.in_batch += 1;
                if is_as_known {
                    self.watch.changed(entry.parent(), &mut self.directories);
                }
                self.ledger.directory(id)
            }
            // Somebody put something there, or works there, or removed it.
            Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOENT | Errno::NOTDIR | Errno::BUSY) => Ok(()),
            Err(errno) => self.ledger.failed(id, errno),
        }
    }
}
