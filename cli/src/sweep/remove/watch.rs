//! Directories in which a change says that somebody else needs what is to go, such as a new revision with a link to an old blob. What we
//! change there ourselves says nothing.

use std::collections::{HashMap, HashSet};

use super::super::clock;
use super::super::directories::Directories;
use super::super::place;
use super::super::tree::{Id, Tree};

/// What is known of watched directories.
#[derive(Default)]
pub(super) struct Watch {
    /// When each was changed last, as far as nobody else did it.
    known: HashMap<Id, i64>,
    /// Those that were put aside, where nobody looks for anything.
    aside: HashSet<Id>,
}

impl Watch {
    /// Whether somebody else changed one of these since it was listed. It costs a look at each.
    pub(super) fn is_changed(&mut self, watched: &[Id], open: &mut Directories<'_>, tree: &Tree) -> bool {
        watched.iter().any(|&id| {
            let known = *self.known.entry(id).or_insert(tree.entry(id).modified);
            // In one that is gone is nothing that needs anything.
            !self.aside.contains(&id) && modified(open, id).is_some_and(|modified| modified != known)
        })
    }

    /// Whether it is known how this one is, so that a change of our own has to be told. It has not been changed until now.
    pub(super) fn is_as_known(&self, id: Id, open: &mut Directories<'_>) -> bool {
        self.known.get(&id).is_some_and(|&known| modified(open, id) == Some(known))
    }

    /// We changed it, right now.
    pub(super) fn changed(&mut self, id: Id, open: &mut Directories<'_>) {
        if let Some(modified) = modified(open, id) {
            self.known.insert(id, modified);
        }
    }

    /// These were put aside.
    pub(super) fn put_aside(&mut self, directories: impl Iterator<Item = Id>) {
        self.aside.extend(directories);
    }

    /// Whether it was put aside.
    pub(super) fn is_aside(&self, id: Id) -> bool {
        self.aside.contains(&id)
    }
}

fn modified(open: &mut Directories<'_>, id: Id) -> Option<i64> {
    let stat = place::look(&*open.open(id).ok()?).ok()?;
    Some(clock::nanoseconds(&stat.stx_mtime))
}
