//! What is in one directory: listed, asked for one by one, and put down.

use std::ffi::CStr;
use std::os::fd::AsFd as _;
use std::sync::Arc;

use rustix::fs::RawDir;

use super::super::place::{self, Key};
use super::super::tree::{Batch, Found, Id, Kind, Marks, Name};
use super::queue::{Group, Open};
use super::{Failure, Walk};

/// So many entries are read from a directory before they are asked for and put down.
const BATCH: usize = 4096;

/// Names as they were listed, and what was found of them. Each thread has one, and uses it again.
pub(super) struct Listing {
    buffer: Vec<u8>,
    listed: Vec<Listed>,
    batch: Batch,
}

impl Default for Listing {
    fn default() -> Self {
        Self { buffer: Vec::with_capacity(32 * 1024), listed: Vec::new(), batch: Batch::default() }
    }
}

struct Listed {
    inode: u64,
    kind: Option<Kind>,
    name: Name,
}

impl Walk<'_> {
    /// Opens and lists a directory.
    pub(super) fn enter(
        &self,
        id: Id,
        name: &CStr,
        parent: &Open,
        listing: &mut Listing,
    ) -> Result<(), Failure> {
        let fd = self.place.directory(parent.fd.as_fd(), name)?;
        let stat = place::look(&fd)?;
        let is_ours = self.look.ours.contains(&Key::of(&stat));
        let marks = Marks::of(Marks::FOREIGN, !self.look.owners.has(stat.stx_uid))
            .and(Marks::of(Marks::OURS, is_ours));
        let found = place::found(&stat, self.look.clock.used(&stat), marks);
        self.lock().scan.tree.set(id, &found);
        if is_ours { Ok(()) } else { self.list(id, self.counted(fd), listing) }
    }

    /// Puts down all that is in an open directory.
    pub(super) fn list(&self, id: Id, open: Open, listing: &mut Listing) -> Result<(), Failure> {
        let Listing { buffer, listed, batch } = listing;
        let mut directories = Vec::new();
        let mut entries = RawDir::new(&open.fd, buffer.spare_capacity_mut());
        let mut end = Ok(());
        loop {
            let entry = entries.next();
            match &entry {
                Some(Ok(entry)) if matches!(entry.file_name().to_bytes(), b"." | b"..") => {}
                Some(Ok(entry)) => {
                    let kind = match entry.file_type() {
                        rustix::fs::FileType::Unknown => None,
                        kind => Some(Kind::from(kind)),
                    };
                    let name = batch.add_name(entry.file_name());
                    listed.push(Listed { inode: entry.ino(), kind, name });
                }
                Some(Err(errno)) => end = Err((*errno).into()),
                None => {}
            }
            let is_over = !matches!(entry, Some(Ok(_)));
            if is_over || listed.len() == BATCH || batch.is_full() {
                // In the order of the inodes, which is that of the disk.
                listed.sort_unstable_by_key(|listed| listed.inode);
                for listed in listed.drain(..) {
                    if let Some(found) = self.ask(&open, &listed, batch.name(listed.name)) {
                        batch.add(listed.name, &found);
                    }
                }
                let first = self.lock().scan.tree.append(id, batch);
                directories.extend(first.into_iter().flat_map(|first| batch.directories(first)));
                batch.clear();
                first?;
            }
            if is_over {
                break;
            }
        }
        if !directories.is_empty() {
            self.push(Group { parent: id, fd: Some(Arc::new(open)), children: directories });
        }
        end
    }

    /// What has this name; none where it is gone. A directory tells of itself when it is opened.
    fn ask(&self, open: &Open, listed: &Listed, name: &CStr) -> Option<Found> {
        if listed.kind == Some(Kind::Directory) {
            return Some(Found {
                inode: listed.inode,
                size: 0,
                modified: i64::MAX,
                used: i64::MAX,
                blocks: 0,
                links: 1,
                kind: Kind::Directory,
                marks: Marks::default(),
            });
        }
        let stat = place::look_at(open.fd.as_fd(), name).ok()?;
        let is_other = place::is_mount(&stat) || Key::of(&stat).device != self.device;
        let marks = Marks::of(Marks::MOUNT, is_other)
            .and(Marks::of(Marks::FOREIGN, !self.look.owners.has(stat.stx_uid)));
        Some(place::found(&stat, self.look.clock.used(&stat), marks))
    }
}
