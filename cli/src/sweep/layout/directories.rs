//! Directories that a tool makes and removes as a whole, such as npm's `_npx`.

use super::super::tree::Id;
use super::super::unit::Parts;
use super::Read;
use super::index::Index;

pub(super) fn parts(index: &Index<'_>, _: Read<'_>) -> Vec<Parts> {
    let directories = index.directories(Id::ROOT).map(|id| index.whole(id));
    directories.chain(index.files(Id::ROOT).map(Index::single)).collect()
}
