//! What goes whole or stays whole.
//!
//! In a plain directory every file is a unit. A cache of a tool has units of several files: a [`super::layout`] says which. A file
//! that several units need, such as a blob of two revisions, goes with the last of them.

use std::collections::HashMap;
use std::sync::Arc;

use super::tree::{Id, Tree};

/// One unit, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Unit(pub(super) u32);

impl Unit {
    /// Its place in lists that have one item a unit.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// Which entries go together.
#[derive(Debug)]
pub enum Units {
    /// Each that is no directory is one by itself, with the entry's number.
    Files {
        /// How many entries the tree has.
        entries: u32,
    },
    /// As a layout has it.
    Grouped(Grouped),
}

/// Units of several entries.
#[derive(Debug, Default)]
pub struct Grouped {
    units: Vec<Parts>,
    /// The units of each entry that has any.
    of: HashMap<Id, Vec<Unit>>,
}

/// What one unit consists of.
#[derive(Debug, Default, Clone)]
pub struct Parts {
    /// By which it is called.
    pub head: Option<Id>,
    /// Its entries in the order in which they go: first what leads to it, and what is in a directory before that.
    pub entries: Vec<Id>,
    /// A directory that is all its own: it gets another name first, so that nobody finds the half of it.
    pub whole: Vec<Id>,
    /// Files that a tool locks while it works on the unit. They stay.
    pub locks: Vec<Id>,
    /// Directories that change when somebody else comes to need what is in the unit. All units of a repository have the same.
    pub watched: Arc<[Id]>,
}

impl Units {
    /// Every file by itself.
    pub fn files(tree: &Tree) -> Self {
        Self::Files { entries: u32::try_from(tree.len()).unwrap_or(u32::MAX) }
    }

    /// How many numbers of units there are. In a plain directory those of directories are none's.
    pub fn len(&self) -> usize {
        match self {
            Self::Files { entries } => *entries as usize,
            Self::Grouped(grouped) => grouped.units.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All of them.
    pub fn all<'a>(&'a self, tree: &'a Tree) -> impl Iterator<Item = Unit> + 'a {
        let count = u32::try_from(self.len()).unwrap_or(u32::MAX);
        (0..count).map(Unit).filter(move |&unit| match self {
            Self::Files { .. } => !tree.entry(Id(unit.0)).is_directory(),
            Self::Grouped(_) => true,
        })
    }

    /// The units that need this entry.
    pub fn of(&self, tree: &Tree, id: Id) -> Owners<'_> {
        match self {
            Self::Files { .. } => Owners::One((!tree.entry(id).is_directory()).then_some(Unit(id.0))),
            Self::Grouped(grouped) => Owners::Some(grouped.of.get(&id).map_or(&[][..], Vec::as_slice).iter()),
        }
    }

    /// Its entries in the order in which they go.
    pub fn entries(&self, unit: Unit) -> Entries<'_> {
        match self {
            Self::Files { .. } => Entries::One(Some(Id(unit.0))),
            Self::Grouped(grouped) => Entries::Some(grouped.units[unit.index()].entries.iter()),
        }
    }

    /// By which entry it is called.
    pub fn head(&self, unit: Unit) -> Id {
        match self {
            Self::Files { .. } => Id(unit.0),
            Self::Grouped(grouped) => {
                let parts = &grouped.units[unit.index()];
                parts.head.or(parts.entries.first().copied()).unwrap_or(Id::ROOT)
            }
        }
    }

    /// What else a layout says of it; none of a plain file.
    pub fn parts(&self, unit: Unit) -> Option<&Parts> {
        match self {
            Self::Files { .. } => None,
            Self::Grouped(grouped) => grouped.units.get(unit.index()),
        }
    }
}

impl Grouped {
    /// Units of these parts. Those without entries are left out.
    pub fn new(units: Vec<Parts>) -> Self {
        let units: Vec<Parts> = units.into_iter().filter(|parts| !parts.entries.is_empty()).collect();
        let mut of: HashMap<Id, Vec<Unit>> = HashMap::new();
        for (number, parts) in (0..).zip(&units) {
            for &entry in &parts.entries {
                let owners = of.entry(entry).or_default();
                if owners.last() != Some(&Unit(number)) {
                    owners.push(Unit(number));
                }
            }
        }
        Self { units, of }
    }
}

/// The units of an entry.
#[derive(Debug, Clone)]
pub enum Owners<'a> {
    /// At most one.
    One(Option<Unit>),
    /// Any number.
    Some(std::slice::Iter<'a, Unit>),
}

impl Iterator for Owners<'_> {
    type Item = Unit;

    fn next(&mut self) -> Option<Unit> {
        match self {
            Self::One(unit) => unit.take(),
            Self::Some(units) => units.next().copied(),
        }
    }
}

/// The entries of a unit.
#[derive(Debug, Clone)]
pub enum Entries<'a> {
    /// At most one.
    One(Option<Id>),
    /// Any number.
    Some(std::slice::Iter<'a, Id>),
}

impl Iterator for Entries<'_> {
    type Item = Id;

    fn next(&mut self) -> Option<Id> {
        match self {
            Self::One(id) => id.take(),
            Self::Some(ids) => ids.next().copied(),
        }
    }
}
