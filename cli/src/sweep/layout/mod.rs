//! What goes together in the caches of known tools: one tool's a file, each a function of the tree and of the small files in it that say
//! what belongs to what.

use std::cell::RefCell;
use std::ffi::CStr;
use std::io::Read as _;
use std::os::fd::{AsFd as _, BorrowedFd};

use rustix::fs::{AtFlags, Timespec, Timestamps, UTIME_OMIT, readlinkat, utimensat};

use super::choose::ON_ITS_WAY;
use super::directories::Directories;
use super::place::{self, Place};
use super::tree::{Id, Kind, Tree};
use super::unit::{Grouped, Parts, Units};

mod cargo;
mod directories;
mod go;
mod huggingface;
mod index;
mod jupyter;
mod npm;
mod pip;
mod torch;

use index::Index;

/// What goes together in a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layout {
    /// Every file by itself.
    #[default]
    Files,
    /// Every directory in it as a whole.
    Directories,
    /// A home of cargo.
    Cargo,
    /// A module cache of Go.
    Go,
    /// A hub cache of Hugging Face.
    Huggingface,
    /// Checkpoints of notebooks.
    Jupyter,
    /// A cacache of npm.
    Npm,
    /// A cache of pip.
    Pip,
    /// A hub directory of PyTorch.
    Torch,
}

/// What a layout may ask for: a file's text, or where a link leads. None where it is gone, or too long for such a thing.
type Read<'a> = &'a dyn Fn(Id) -> Option<Vec<u8>>;

/// What says what belongs to what has no more bytes than this.
const LONGEST: u64 = 1 << 20;

impl Layout {
    /// The units of what is in a directory of this layout.
    pub fn units(self, place: &Place, tree: &Tree) -> Units {
        let directories = RefCell::new(Directories::new(place, tree, 1));
        let read = |id| read(&directories, place, tree, id);
        self.of_tree(tree, &read)
    }

    fn of_tree(self, tree: &Tree, read: Read<'_>) -> Units {
        let of = match self {
            Self::Files => return Units::files(tree),
            Self::Directories => directories::parts,
            Self::Cargo => cargo::parts,
            Self::Go => go::parts,
            Self::Huggingface => huggingface::parts,
            Self::Jupyter => jupyter::parts,
            Self::Npm => npm::parts,
            Self::Pip => pip::parts,
            Self::Torch => torch::parts,
        };
        let index = Index::new(tree);
        let mut parts = of(&index, read);
        parts.extend(left(&index));
        Units::Grouped(Grouped::new(parts))
    }
}

/// What earlier sweeps had put aside when they were ended. [`Index`] hides it from the layouts.
fn left(index: &Index<'_>) -> Vec<Parts> {
    let tree = index.tree;
    let is_left = |&id: &Id| {
        tree.entry(id).is_directory() && tree.name(id).to_bytes().starts_with(ON_ITS_WAY.as_bytes())
    };
    tree.ids().filter(is_left).map(|id| index.whole(id)).collect()
}

fn read(directories: &RefCell<Directories<'_>>, place: &Place, tree: &Tree, id: Id) -> Option<Vec<u8>> {
    let parent = directories.borrow_mut().open(tree.entry(id).parent()).ok()?;
    match tree.entry(id).kind {
        Kind::Link => read_link(parent.as_fd(), tree.name(id)),
        Kind::File => {
            let file = std::fs::File::from(place.file(parent.as_fd(), tree.name(id)).ok()?);
            let mut bytes = Vec::new();
            file.take(LONGEST + 1).read_to_end(&mut bytes).ok()?;
            (bytes.len() as u64 <= LONGEST).then_some(bytes)
        }
        Kind::Directory | Kind::Other => None,
    }
}

/// Where a link leads. To read that counts as a use of the link, which a layout's question is none: its atime becomes again what it was.
fn read_link(parent: BorrowedFd<'_>, name: &CStr) -> Option<Vec<u8>> {
    let atime = || Some(place::look_at(parent, name).ok()?.stx_atime);
    let before = atime()?;
    let target = readlinkat(parent, name, Vec::new()).ok()?.into_bytes();
    let after = atime()?;
    if (before.tv_sec, before.tv_nsec) != (after.tv_sec, after.tv_nsec) {
        let last_access = Timespec { tv_sec: before.tv_sec, tv_nsec: before.tv_nsec.into() };
        let times =
            Timestamps { last_access, last_modification: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT } };
        // Who may not do that keeps it for a day longer.
        let _ = utimensat(parent, name, &times, AtFlags::SYMLINK_NOFOLLOW);
    }
    Some(target)
}

#[cfg(test)]
mod sample;
