//! What is left of the sizes while units go.

use std::collections::{HashMap, HashSet};

use super::super::tree::{Id, Marks, Tree};
use super::super::unit::{Unit, Units};
use super::patterns::Paths;

/// What is left of the sizes while units go.
pub(super) struct Room {
    pub(super) bytes: u64,
    pub(super) files: u64,
    /// Of files with several names: how many of those are still there.
    names: HashMap<u64, u32>,
    /// Of entries that several units need: how many of those are still there.
    owners: HashMap<Id, usize>,
}

impl Room {
    pub(super) fn new(tree: &Tree, units: &Units, paths: &Paths<'_>) -> Self {
        let names = tree.all_linked().iter().map(|(&inode, linked)| (inode, linked.inside)).collect();
        let mut room = Self { bytes: 0, files: 0, names, owners: HashMap::new() };
        let mut counted = HashSet::new();
        for id in tree.ids() {
            let entry = tree.entry(id);
            if entry.is_directory() || entry.marks.has(Marks::MOUNT) || paths.excludes(id) {
                continue;
            }
            room.files += 1;
            if !entry.marks.has(Marks::LINKED) || counted.insert(entry.inode) {
                room.bytes += entry.bytes();
            }
            if let Units::Grouped(_) = units {
                let owners = units.of(tree, id).count();
                if owners > 1 {
                    room.owners.insert(id, owners);
                }
            }
        }
        room
    }

    /// A unit goes.
    pub(super) fn take(&mut self, tree: &Tree, units: &Units, unit: Unit) {
        for id in units.entries(unit) {
            let entry = tree.entry(id);
            if entry.is_directory() {
                continue;
            }
            if let Some(owners) = self.owners.get_mut(&id) {
                *owners -= 1;
                if *owners > 0 {
                    continue;
                }
            }
            self.files = self.files.saturating_sub(1);
            if entry.marks.has(Marks::LINKED)
                && let Some(names) = self.names.get_mut(&entry.inode)
            {
                *names = names.saturating_sub(1);
                if *names > 0 {
                    continue;
                }
            }
            self.bytes = self.bytes.saturating_sub(entry.bytes());
        }
    }
}
