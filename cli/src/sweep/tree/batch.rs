//! Entries of one directory that are put down together. A thread makes them by itself, so that the tree, which is everybody's, is
//! locked for no longer than a copy takes.

use std::ffi::CStr;

use super::{Entry, Found, Id, Kind, Marks, NAMES};

/// Entries of one directory, in the order in which they are put down.
#[derive(Debug, Default)]
pub struct Batch {
    /// Each says where its name begins in `names`; its parent is not known yet.
    pub(super) entries: Vec<Entry>,
    /// The names, each with its zero.
    pub(super) names: Vec<u8>,
    /// Of files with several names: the inode, and how many names it has in all.
    pub(super) linked: Vec<(u64, u32)>,
}

/// A name in a batch, by where it begins.
#[derive(Debug, Clone, Copy)]
pub struct Name(u32);

impl Batch {
    /// A batch of one.
    pub fn of(name: &CStr, found: &Found) -> Self {
        let mut batch = Self::default();
        let name = batch.add_name(name);
        batch.add(name, found);
        batch
    }

    /// Takes a name, of which more is to be found out.
    pub fn add_name(&mut self, name: &CStr) -> Name {
        // It is full long before.
        let place = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        self.names.extend_from_slice(name.to_bytes_with_nul());
        Name(place)
    }

    /// A name that was taken.
    pub fn name(&self, name: Name) -> &CStr {
        let names = self.names.get(name.0 as usize..).unwrap_or_default();
        CStr::from_bytes_until_nul(names).unwrap_or_default()
    }

    /// What has this name.
    pub fn add(&mut self, name: Name, found: &Found) {
        let is_linked = found.links > 1 && found.kind != Kind::Directory;
        if is_linked {
            self.linked.push((found.inode, found.links));
        }
        self.entries.push(Entry {
            inode: found.inode,
            size: found.size,
            modified: found.modified,
            used: found.used,
            blocks: u32::try_from(found.blocks).unwrap_or(u32::MAX),
            parent: Id::ROOT,
            name: name.0,
            kind: found.kind,
            marks: found.marks.and(Marks::of(Marks::LINKED, is_linked)),
        });
    }

    /// Whether it takes no more names: a batch of a tree fits into one piece of it.
    pub fn is_full(&self) -> bool {
        // A name of a directory has less than 64 KiB: the record that the kernel gives tells its length in 16 bits (getdents64(2)).
        self.names.len() > NAMES / 2
    }

    /// Of those in it that are to be listed: their numbers, where the first has this one.
    pub fn directories(&self, first: Id) -> impl Iterator<Item = Id> {
        let is_listed = |entry: &Entry| entry.kind == Kind::Directory && !entry.marks.has(Marks::MOUNT);
        (first.0..).zip(&self.entries).filter(move |(_, entry)| is_listed(entry)).map(|(id, _)| Id(id))
    }

    /// Forgets all, and keeps the room for others.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.names.clear();
        self.linked.clear();
    }
}
