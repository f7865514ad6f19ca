//! What the patterns say of entries.

use super::super::pattern::Pattern;
use super::super::tree::{Id, Tree};
use super::Rules;

/// What the patterns say of entries. Without patterns no path is made.
pub(super) struct Paths<'a> {
    tree: &'a Tree,
    pub(super) rules: &'a Rules,
}

impl<'a> Paths<'a> {
    pub(super) fn new(tree: &'a Tree, rules: &'a Rules) -> Self {
        Self { tree, rules }
    }

    fn any(&self, patterns: &[Pattern], id: Id) -> bool {
        if patterns.is_empty() {
            return false;
        }
        let path = self.tree.path(id);
        patterns.iter().any(|pattern| pattern.has(&path))
    }

    pub(super) fn excludes(&self, id: Id) -> bool {
        self.any(&self.rules.exclude, id)
    }

    pub(super) fn keeps(&self, id: Id) -> bool {
        self.any(&self.rules.keep, id)
    }

    pub(super) fn includes(&self, id: Id) -> bool {
        self.any(&self.rules.include, id)
    }
}
