//! Room for more files.

use crate::doctor::{Check, Facts, Finding};

pub(in crate::doctor) const CHECK: Check = Check {
    name: "inodes",
    about: "The same file system has at least `--min-inodes` percent of its inodes left: without them a disk with free bytes is full.",
    look,
};

fn look(facts: &Facts) -> Finding {
    let Some(space) = facts.space else { return super::unseen(facts) };
    if space.inodes == 0 {
        return Finding::fine("the file system has no limit of its own");
    }
    let percent = space.inodes_percent();
    let found = format!("{} of {} ({percent} %) are free", space.inodes_free, space.inodes);
    if percent >= facts.limits.inodes {
        return Finding::fine(found);
    }
    Finding::wrong(
        found,
        &[
            "many small files take them, often in caches: `ci-build prune --build-cache`, or a file system with more inodes",
        ],
    )
}
