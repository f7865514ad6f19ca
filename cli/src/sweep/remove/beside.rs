//! Lock files beside files: `NAME.lock` and `.NAME.lock`, which many tools lock while they work on `NAME`.

use std::collections::{HashMap, HashSet};

use super::super::tree::{Id, Kind, Tree};

/// The lock files of a tree that have a file beside them.
#[derive(Debug, Default)]
pub(super) struct Beside {
    locks: HashMap<Id, Vec<Id>>,
    all: HashSet<Id>,
}

impl Beside {
    /// Complexity: linear; a tree without names that end so costs a look at each name.
    pub(super) fn of(tree: &Tree) -> Self {
        let mut named: HashMap<(Id, &[u8]), Vec<Id>> = HashMap::new();
        let files = || tree.below().filter(|&id| tree.entry(id).kind == Kind::File);
        for id in files() {
            let Some(name) = tree.name(id).to_bytes().strip_suffix(b".lock") else { continue };
            for name in [Some(name), name.strip_prefix(b".")].into_iter().flatten() {
                named.entry((tree.entry(id).parent(), name)).or_default().push(id);
            }
        }
        if named.is_empty() {
            return Self::default();
        }
        let locks_of = |id| named.get(&(tree.entry(id).parent(), tree.name(id).to_bytes())).cloned();
        let locks: HashMap<Id, Vec<Id>> = files().filter_map(|id| Some((id, locks_of(id)?))).collect();
        let all = locks.values().flatten().copied().collect();
        Self { locks, all }
    }

    /// The lock files of a file.
    pub(super) fn locks(&self, id: Id) -> &[Id] {
        self.locks.get(&id).map_or(&[], Vec::as_slice)
    }

    /// Whether it is a lock file of another one, or has one.
    pub(super) fn has(&self, id: Id) -> bool {
        self.all.contains(&id) || self.locks.contains_key(&id)
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::tree::{Batch, Found, Marks};
    use super::*;

    #[test]
    fn a_lock_is_that_of_the_file_beside_it() {
        let found = |inode, kind| Found {
            inode,
            size: 1,
            modified: 0,
            used: 0,
            blocks: 8,
            links: 1,
            kind,
            marks: Marks::default(),
        };
        let mut tree = Tree::new(&found(1, Kind::Directory));
        let directory = tree.append(Id::ROOT, &Batch::of(c"d", &found(2, Kind::Directory))).unwrap();
        for (inode, name) in (3..).zip([c"a", c"a.lock", c".a.lock", c".b", c".b.lock", c"c.lock", c"lock"]) {
            tree.append(directory, &Batch::of(name, &found(inode, Kind::File))).unwrap();
        }
        // Beside nothing of that name.
        tree.append(Id::ROOT, &Batch::of(c"c", &found(20, Kind::File))).unwrap();
        let beside = Beside::of(&tree);
        let name = |id: Id| tree.name(id).to_str().unwrap();
        let told = tree.below().filter(|&id| beside.has(id)).map(|id| {
            let locks: Vec<&str> = beside.locks(id).iter().map(|&lock| name(lock)).collect();
            format!("{}: {}", name(id), locks.join(" "))
        });
        insta::assert_snapshot!(told.collect::<Vec<_>>().join("\n"), @r"
        a: a.lock .a.lock
        a.lock: 
        .a.lock: 
        .b: .b.lock
        .b.lock: 
        ");
    }
}
