//! Checkpoints of notebooks: files in directories `.ipynb_checkpoints`, wherever those are. Nothing else is touched.

use super::super::tree::Id;
use super::super::unit::Parts;
use super::Read;
use super::index::Index;

pub(super) fn parts(index: &Index<'_>, _: Read<'_>) -> Vec<Parts> {
    let all = std::iter::once(Id::ROOT).chain(index.directories_below(Id::ROOT));
    let checkpoints = all.filter(|&id| index.name(id) == b".ipynb_checkpoints");
    checkpoints.flat_map(|id| index.files(id).map(Index::single).collect::<Vec<_>>()).collect()
}
