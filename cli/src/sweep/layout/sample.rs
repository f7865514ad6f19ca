//! Trees for the layouts' tests, really made: `PATH`, `PATH=TEXT` or `LINK>TARGET`.

use std::collections::{HashMap, HashSet};
use std::os::unix::fs::symlink;

use tempfile::TempDir;

use super::super::clock::{AtimeMode, By, Clock};
use super::super::place::Place;
use super::super::refuse::Allowed;
use super::super::tree::{Id, Tree};
use super::super::walk::{self, Look, Owners};
use super::Layout;

pub(super) struct Sample {
    _directory: TempDir,
    place: Place,
    tree: Tree,
}

impl Sample {
    pub(super) fn new(entries: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        for entry in entries {
            let end = entry.find(['=', '>']).unwrap_or(entry.len());
            let path = directory.path().join(&entry[..end]);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            match entry.get(end..=end) {
                Some(">") => symlink(&entry[end + 1..], path).unwrap(),
                _ => std::fs::write(path, entry.get(end + 1..).unwrap_or_default()).unwrap(),
            }
        }
        let place = Place::open(directory.path(), Allowed::default()).unwrap();
        let clock = Clock::new(By::Mtime, AtimeMode::Strict, None, HashMap::new());
        let look = Look { clock: &clock, owners: &Owners::Any, ours: &HashSet::new(), threads: 1 };
        let tree = walk::walk(&place, &look).unwrap().tree;
        Self { _directory: directory, place, tree }
    }

    /// A line a unit: what goes whole, what else goes, what is locked for it; and what is in no unit.
    pub(super) fn units(&self, layout: Layout) -> String {
        let units = layout.units(&self.place, &self.tree);
        let path = |id: Id| String::from_utf8(self.tree.path(id)).unwrap();
        let mut lines: Vec<String> = Vec::new();
        for unit in units.all(&self.tree) {
            let parts = units.parts(unit).unwrap();
            let named =
                |id: &Id| format!("{}{}", path(*id), if parts.whole.contains(id) { " (whole)" } else { "" });
            let head = units.head(unit);
            let mut rest: Vec<String> = parts.entries.iter().filter(|&&id| id != head).map(named).collect();
            rest.sort_unstable();
            let mut line = [vec![named(&head)], rest].concat().join(" + ");
            if !parts.locks.is_empty() {
                line += &format!(
                    " locked by {}",
                    parts.locks.iter().map(|&id| path(id)).collect::<Vec<_>>().join(" ")
                );
            }
            lines.push(line);
        }
        lines.sort_unstable();
        let is_nobodys =
            |&id: &Id| !self.tree.entry(id).is_directory() && units.of(&self.tree, id).next().is_none();
        let mut rest: Vec<String> = self.tree.ids().filter(is_nobodys).map(path).collect();
        rest.sort_unstable();
        if !rest.is_empty() {
            lines.push(format!("no unit: {}", rest.join(" ")));
        }
        lines.join("\n")
    }
}
