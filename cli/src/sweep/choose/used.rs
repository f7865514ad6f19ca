//! When units were used last.

use std::collections::HashMap;

use super::super::tree::{Id, Tree};
use super::super::unit::{Unit, Units};

/// When units were used last.
pub(super) enum Used {
    /// As their only entry.
    Files,
    Grouped(Vec<i64>),
}

impl Used {
    pub(super) fn of(&self, tree: &Tree, unit: Unit) -> i64 {
        match self {
            Self::Files => tree.entry(Id(unit.0)).used,
            Self::Grouped(used) => used[unit.index()],
        }
    }
}

/// A unit was used when its newest part was, of those that it alone has. A part that others need too was used by those that were used
/// no earlier; if none was, it is not known by whom, and counts for all.
pub(super) fn used(tree: &Tree, units: &Units) -> Used {
    let Units::Grouped(_) = units else { return Used::Files };
    let mut shared: HashMap<Id, Vec<Unit>> = HashMap::new();
    let mut used: Vec<i64> = vec![i64::MIN; units.len()];
    for unit in units.all(tree) {
        for id in units.entries(unit) {
            let entry = tree.entry(id);
            // A directory is changed by what goes in it, and read by whoever looks.
            if entry.is_directory() {
                continue;
            }
            let owners: Vec<Unit> = units.of(tree, id).collect();
            if owners.len() > 1 {
                shared.entry(id).or_insert(owners);
            } else {
                used[unit.index()] = used[unit.index()].max(entry.used);
            }
        }
    }
    for (id, owners) in &shared {
        let of_part = tree.entry(*id).used;
        if owners.iter().all(|owner| used[owner.index()] < of_part) {
            owners.iter().for_each(|owner| used[owner.index()] = of_part);
        }
    }
    // Nothing but directories: as old as the newest of them.
    for unit in units.all(tree).filter(|unit| used[unit.index()] == i64::MIN).collect::<Vec<_>>() {
        let newest = units.entries(unit).map(|id| tree.entry(id).modified).max();
        used[unit.index()] = newest.unwrap_or(i64::MAX);
    }
    Used::Grouped(used)
}
