//! What a directory holds, as it was found: a compact arena, so that a million entries stay below 100 MB.
//!
//! An entry has 48 bytes and its name stands in a common buffer. Both grow by whole pieces and are never moved: a `Vec` that
//! doubles would have the old and the new one at once.

use std::collections::HashMap;
use std::ffi::CStr;

use rustix::fs::FileType;

mod batch;

pub use batch::{Batch, Name};

/// An entry of a tree, by its place there. A directory comes before what is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id(pub(super) u32);

impl Id {
    /// The directory that is swept itself.
    pub const ROOT: Self = Self(0);

    /// Its place in lists that have one item an entry.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A directory.
    Directory,
    /// A regular file.
    File,
    /// A symbolic link, which is never followed.
    Link,
    /// A socket, a pipe or a device.
    Other,
}

impl From<FileType> for Kind {
    fn from(kind: FileType) -> Self {
        match kind {
            FileType::Directory => Self::Directory,
            FileType::RegularFile => Self::File,
            FileType::Symlink => Self::Link,
            _ => Self::Other,
        }
    }
}

/// What is special about an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Marks(u8);

impl Marks {
    /// Another user's, who was not told of.
    pub const FOREIGN: Self = Self(1);
    /// Another file system begins here, or something is mounted on it.
    pub const MOUNT: Self = Self(2);
    /// The same file has other names too.
    pub const LINKED: Self = Self(4);
    /// A directory that could not be read to its end, so that it may hold more than is known.
    pub const UNREAD: Self = Self(8);
    /// Our own state lies there.
    pub const OURS: Self = Self(16);

    /// Whether it has one of these.
    pub fn has(self, marks: Self) -> bool {
        self.0 & marks.0 != 0
    }

    /// Both.
    #[must_use]
    pub const fn and(self, marks: Self) -> Self {
        Self(self.0 | marks.0)
    }

    /// These where this is so.
    pub fn of(marks: Self, is_so: bool) -> Self {
        if is_so { marks } else { Self::default() }
    }
}

/// One name in a directory. Times are nanoseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The number of what has this name.
    pub inode: u64,
    /// Its length in bytes.
    pub size: u64,
    /// When it was changed last.
    pub modified: i64,
    /// When it was used last, by the clock that was asked for.
    pub used: i64,
    /// How many blocks of 512 bytes it has on the disk; of a file of more than 2 TiB, as many as that has.
    pub(super) blocks: u32,
    /// The directory that it is in; the root is in itself.
    pub(super) parent: Id,
    name: u32,
    /// What it is.
    pub kind: Kind,
    /// What is special about it.
    pub marks: Marks,
}

impl Entry {
    /// What it takes on the disk, in bytes.
    pub fn bytes(&self) -> u64 {
        u64::from(self.blocks) * 512
    }

    /// The directory that it is in.
    pub fn parent(&self) -> Id {
        self.parent
    }

    /// Whether it is a directory.
    pub fn is_directory(&self) -> bool {
        self.kind == Kind::Directory
    }
}

/// What is known of an entry before it has its place.
#[derive(Debug, Clone)]
pub struct Found {
    /// As [`Entry::inode`].
    pub inode: u64,
    /// As [`Entry::size`].
    pub size: u64,
    /// As [`Entry::modified`].
    pub modified: i64,
    /// As [`Entry::used`].
    pub used: i64,
    /// Blocks of 512 bytes.
    pub blocks: u64,
    /// How many names it has.
    pub links: u32,
    /// As [`Entry::kind`].
    pub kind: Kind,
    /// As [`Entry::marks`].
    pub marks: Marks,
}

/// A file with several names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Linked {
    /// How many of them are in the tree.
    pub inside: u32,
    /// How many it has in all.
    pub all: u32,
}

/// It would have more entries, or longer names, than can be numbered: four thousand million.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

const PIECE: usize = 1 << 16;
const NAMES: usize = 1 << 20;

/// What a directory holds.
#[derive(Debug)]
pub struct Tree {
    entries: Vec<Vec<Entry>>,
    names: Vec<Vec<u8>>,
    linked: HashMap<u64, Linked>,
}

impl Tree {
    /// A directory with nothing in it yet.
    pub fn new(root: &Found) -> Self {
        let mut tree = Self { entries: Vec::new(), names: Vec::new(), linked: HashMap::new() };
        // The first of all has room.
        let _ = tree.append(Id::ROOT, &Batch::of(c"", root));
        tree
    }

    /// Adds what is in a directory, and says which number the first of it has; the others have those after it.
    ///
    /// # Errors
    /// When there is no number left for one of them.
    pub fn append(&mut self, parent: Id, batch: &Batch) -> Result<Id, Full> {
        let first = self.len();
        let is_numbered = u32::try_from(first + batch.entries.len()).is_ok_and(|end| end < u32::MAX);
        let first = u32::try_from(first).ok().filter(|_| is_numbered).ok_or(Full)?;
        let names = self.append_names(&batch.names)?;
        for &(inode, all) in &batch.linked {
            let linked = self.linked.entry(inode).or_insert(Linked { inside: 0, all });
            *linked = Linked { inside: linked.inside + 1, all };
        }
        let mut rest = batch.entries.as_slice();
        while !rest.is_empty() {
            if self.entries.last().is_none_or(|piece| piece.len() == PIECE) {
                // The first one grows with small trees.
                let capacity = if self.entries.is_empty() { 0 } else { PIECE };
                self.entries.push(Vec::with_capacity(capacity));
            }
            let Some(piece) = self.entries.last_mut() else { return Err(Full) };
            let (fits, later) = rest.split_at(rest.len().min(PIECE - piece.len()));
            piece.extend(fits.iter().map(|entry| Entry {
                name: names + entry.name,
                parent,
                ..entry.clone()
            }));
            rest = later;
        }
        Ok(Id(first))
    }

    /// Adds names, and says where the first of them begins.
    fn append_names(&mut self, names: &[u8]) -> Result<u32, Full> {
        // A batch always fits into a piece. What is left at the end of one was never touched, and takes no memory.
        if self.names.last().is_none_or(|piece| piece.len() + names.len() > NAMES) {
            let capacity = if self.names.is_empty() { 0 } else { NAMES };
            self.names.push(Vec::with_capacity(capacity));
        }
        let number = self.names.len() - 1;
        let Some(piece) = self.names.last_mut() else { return Err(Full) };
        let place = number * NAMES + piece.len();
        piece.extend_from_slice(names);
        match u32::try_from(place + names.len()) {
            Ok(_) => u32::try_from(place).map_err(|_| Full),
            Err(_) => Err(Full),
        }
    }

    /// Says of a directory what is known when it is opened.
    pub fn set(&mut self, id: Id, found: &Found) {
        let (piece, place) = (id.index() / PIECE, id.index() % PIECE);
        if let Some(entry) = self.entries.get_mut(piece).and_then(|piece| piece.get_mut(place)) {
            entry.inode = found.inode;
            entry.modified = found.modified;
            entry.used = found.used;
            entry.blocks = u32::try_from(found.blocks).unwrap_or(u32::MAX);
            entry.marks = entry.marks.and(found.marks);
        }
    }

    /// Marks an entry.
    pub fn mark(&mut self, id: Id, marks: Marks) {
        let (piece, place) = (id.index() / PIECE, id.index() % PIECE);
        if let Some(entry) = self.entries.get_mut(piece).and_then(|piece| piece.get_mut(place)) {
            entry.marks = entry.marks.and(marks);
        }
    }

    /// How many entries it has, with the root.
    pub fn len(&self) -> usize {
        match self.entries.split_last() {
            Some((last, full)) => full.len() * PIECE + last.len(),
            None => 0,
        }
    }

    /// Whether it has nothing but its root.
    pub fn is_empty(&self) -> bool {
        self.len() <= 1
    }

    /// An entry of this tree.
    pub fn entry(&self, id: Id) -> &Entry {
        &self.entries[id.index() / PIECE][id.index() % PIECE]
    }

    /// Its name in its directory.
    pub fn name(&self, id: Id) -> &CStr {
        let place = self.entry(id).name as usize;
        CStr::from_bytes_until_nul(&self.names[place / NAMES][place % NAMES..]).unwrap_or_default()
    }

    /// All entries but the root, in the order in which they were found.
    pub fn below(&self) -> impl DoubleEndedIterator<Item = Id> + use<> {
        (1..u32::try_from(self.len()).unwrap_or(u32::MAX)).map(Id)
    }

    /// All entries in the order in which they were found.
    pub fn ids(&self) -> impl DoubleEndedIterator<Item = Id> + use<> {
        // It cannot have more than there are numbers.
        (0..u32::try_from(self.len()).unwrap_or(u32::MAX)).map(Id)
    }

    /// Its path, from the root, which itself is empty.
    pub fn path(&self, id: Id) -> Vec<u8> {
        let mut up = vec![id];
        while let Some(&last) = up.last()
            && last != Id::ROOT
        {
            up.push(self.entry(last).parent);
        }
        // Most fit.
        let mut path = Vec::with_capacity(128);
        for &id in up.iter().rev().skip(1) {
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(self.name(id).to_bytes());
        }
        path
    }

    /// How many names stand in each directory, by its place.
    pub fn children(&self) -> Vec<u32> {
        let mut children = vec![0; self.len()];
        for id in self.below() {
            children[self.entry(id).parent.index()] += 1;
        }
        children
    }

    /// What is known of a file with several names.
    pub fn linked(&self, inode: u64) -> Option<Linked> {
        self.linked.get(&inode).copied()
    }

    /// All files with several names.
    pub fn all_linked(&self) -> &HashMap<u64, Linked> {
        &self.linked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn found(inode: u64, kind: Kind) -> Found {
        Found { inode, size: 1, modified: 0, used: 0, blocks: 8, links: 1, kind, marks: Marks::default() }
    }

    #[test]
    fn an_entry_is_small() {
        assert_eq!(size_of::<Entry>(), 48);
    }

    #[test]
    fn more_than_a_piece_fits_and_paths_lead_from_the_root() {
        let mut tree = Tree::new(&found(1, Kind::Directory));
        let directory = tree.append(Id::ROOT, &Batch::of(c"a", &found(2, Kind::Directory))).unwrap();
        let name = std::ffi::CString::new("n".repeat(200)).unwrap();
        let mut ids: Vec<Id> = Vec::new();
        let mut batch = Batch::default();
        for inodes in (0..100_000_u64).collect::<Vec<_>>().chunks(3_000) {
            batch.clear();
            for inode in inodes {
                let name = batch.add_name(&name);
                batch.add(name, &found(3 + inode, Kind::File));
            }
            let first = tree.append(directory, &batch).unwrap();
            assert_eq!(first.index(), tree.len() - inodes.len());
            ids.extend((first.0..).take(inodes.len()).map(Id));
        }
        assert_eq!(tree.len(), 100_002);
        assert_eq!(tree.entry(ids[99_999]).inode, 3 + 99_999);
        assert!(
            ids.iter().all(|&id| tree.name(id) == name.as_c_str() && tree.entry(id).parent() == directory)
        );
        assert_eq!(tree.path(ids[70_000]), [b"a/".as_slice(), name.to_bytes()].concat());
        assert_eq!(tree.path(Id::ROOT), b"");
        assert_eq!(tree.ids().count(), tree.len());
    }

    #[test]
    fn names_of_one_file_are_counted() {
        let mut tree = Tree::new(&found(1, Kind::Directory));
        for name in [c"a", c"b"] {
            tree.append(Id::ROOT, &Batch::of(name, &Found { links: 3, ..found(7, Kind::File) })).unwrap();
        }
        assert_eq!(tree.linked(7), Some(Linked { inside: 2, all: 3 }));
        assert_eq!(tree.linked(8), None);
    }
}
