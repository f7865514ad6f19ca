//! Free room for images and caches.

use bytesize::ByteSize;

use crate::doctor::{Check, Facts, Finding};

pub(in crate::doctor) const CHECK: Check = Check {
    name: "disk",
    about: "The file system of the engine's data has at least `--min-free` percent of its bytes left for those who are not root.",
    look,
};

fn look(facts: &Facts) -> Finding {
    let (Ok(info), Some(space)) = (&facts.engine, facts.space) else { return super::unseen(facts) };
    let root = info.root.as_deref().map(|root| root.display().to_string()).unwrap_or_default();
    let [free, total] = [space.free, space.total].map(ByteSize);
    let found = format!("{free} of {total} ({} %) are free below {root}", space.free_percent());
    if space.free_percent() >= facts.limits.free {
        return Finding::fine(found);
    }
    Finding::wrong(
        found,
        &[
            "`docker system df` shows what takes the room; `ci-build prune --build-cache` makes some, and `ci-build prune --dry-run` says what would go",
        ],
    )
}
