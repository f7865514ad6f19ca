//! What is in which directory of a tree.

use super::super::choose::ON_ITS_WAY;
use super::super::tree::{Id, Tree};
use super::super::unit::Parts;

/// The entries of each directory, by name.
#[derive(Debug)]
pub(super) struct Index<'a> {
    pub(super) tree: &'a Tree,
    /// Where those of a directory begin; one more than there are entries.
    start: Vec<u32>,
    /// In the order of their directories, and there of their names.
    all: Vec<Id>,
}

impl<'a> Index<'a> {
    pub(super) fn new(tree: &'a Tree) -> Self {
        let mut start = vec![0];
        let mut sum = 0;
        for count in tree.children() {
            sum += count;
            start.push(sum);
        }
        let mut next = start.clone();
        let mut all = vec![Id::ROOT; sum as usize];
        for id in tree.below() {
            let place = &mut next[tree.entry(id).parent().index()];
            all[*place as usize] = id;
            *place += 1;
        }
        for bounds in start.windows(2) {
            all[bounds[0] as usize..bounds[1] as usize].sort_unstable_by_key(|&id| tree.name(id).to_bytes());
        }
        Self { tree, start, all }
    }

    /// What is in a directory, in the order of the names, without what an earlier sweep had put aside.
    pub(super) fn children(&self, id: Id) -> impl Iterator<Item = Id> + '_ {
        let hidden = |id: Id| self.name(id).starts_with(ON_ITS_WAY.as_bytes());
        self.list(id).iter().copied().filter(move |&id| !hidden(id))
    }

    fn list(&self, id: Id) -> &[Id] {
        &self.all[self.start[id.index()] as usize..self.start[id.index() + 1] as usize]
    }

    /// The directories in a directory.
    pub(super) fn directories(&self, id: Id) -> impl Iterator<Item = Id> + '_ {
        self.children(id).filter(|&id| self.tree.entry(id).is_directory())
    }

    /// What is in a directory and is none.
    pub(super) fn files(&self, id: Id) -> impl Iterator<Item = Id> + '_ {
        self.children(id).filter(|&id| !self.tree.entry(id).is_directory())
    }

    pub(super) fn name(&self, id: Id) -> &'a [u8] {
        self.tree.name(id).to_bytes()
    }

    /// What has this name in a directory.
    pub(super) fn child(&self, id: Id, name: &[u8]) -> Option<Id> {
        let list = self.list(id);
        list.binary_search_by_key(&name, |&id| self.name(id)).ok().map(|place| list[place])
    }

    /// What has this path from a directory.
    pub(super) fn at(&self, id: Id, path: &str) -> Option<Id> {
        path.split('/').try_fold(id, |id, name| self.child(id, name.as_bytes()))
    }

    /// The directory of this name at the top, where there is one, else the top itself: somebody may have named either.
    pub(super) fn within(&self, name: &[u8]) -> Id {
        let inner = self.child(Id::ROOT, name).filter(|&id| self.tree.entry(id).is_directory());
        inner.unwrap_or(Id::ROOT)
    }

    /// All that is below, what is in a directory before that.
    pub(super) fn below(&self, id: Id) -> Vec<Id> {
        let (mut found, mut rest) = (Vec::new(), self.list(id).to_vec());
        while let Some(id) = rest.pop() {
            found.push(id);
            rest.extend_from_slice(self.list(id));
        }
        found.reverse();
        found
    }

    /// The directories below, each before what is in it.
    pub(super) fn directories_below(&self, id: Id) -> Vec<Id> {
        let (mut found, mut rest) = (Vec::new(), vec![id]);
        while let Some(id) = rest.pop() {
            for directory in self.directories(id) {
                found.push(directory);
                rest.push(directory);
            }
        }
        found
    }

    /// A directory as one unit.
    pub(super) fn whole(&self, id: Id) -> Parts {
        let mut entries = self.below(id);
        entries.push(id);
        Parts { head: Some(id), entries, whole: vec![id], ..Parts::default() }
    }

    /// A file as one unit.
    pub(super) fn single(id: Id) -> Parts {
        Parts { head: Some(id), entries: vec![id], ..Parts::default() }
    }

    /// All files below, each as a unit.
    pub(super) fn singles(&self, id: Id) -> impl Iterator<Item = Parts> + '_ {
        self.below(id).into_iter().filter(|&id| !self.tree.entry(id).is_directory()).map(Self::single)
    }
}
