//! Other builds of the engine (`scope=host`): a shared cache may have a user there at the same time.
//!
//! An order binds this build alone, and two builds of one file have the same names. So what several users of a cache are
//! not known to bear is locked, also where this build has only one of them; and where it only reads as well, since somebody
//! writes what it reads, and a shared user beside a locked one of another build gets a new, empty cache.

use std::collections::BTreeSet;

use super::{Guarded, Plan, Policy, Scope, Settings};
use crate::graph::{BuildGraph, CacheKey, MountRef, Sharing};
use crate::hazard::{self, Severity};

/// The caches beside those of `locked` that have to be locked because of others. `current` is the build as the plan has
/// it, `graph` as it was.
pub(super) fn against_others(
    graph: &BuildGraph,
    current: &BuildGraph,
    locked: &BTreeSet<CacheKey>,
    settings: &Settings,
    plan: &mut Plan,
) -> BTreeSet<CacheKey> {
    let mut keys = BTreeSet::new();
    if settings.scope == Scope::Build {
        return keys;
    }
    for (key, mounts) in current.caches().into_iter().filter(|(key, _)| !locked.contains(key)) {
        let is_shared = |at: &&MountRef| sharing(current, **at) == Some(Sharing::Shared);
        let shared: Vec<_> = mounts.iter().filter(is_shared).copied().collect();
        let Some(first) = shared.first() else { continue };
        // Under the name that the user gave it.
        let policy = graph
            .mount(*first)
            .cache
            .as_ref()
            .map_or(settings.policy, |cache| settings.policy_of(&cache.key));
        let borne = match policy {
            Policy::Off => continue,
            Policy::Prime => Severity::Warning,
            _ => Severity::Note,
        };
        if hazard::severity_of_sharing(current, key, &shared) > borne {
            keys.insert(key.clone());
            let mut mounts = mounts.clone();
            mounts.sort_by(|a, b| graph.file_order(*a).cmp(&graph.file_order(*b)));
            plan.guarded.push(Guarded { cache: key.clone(), mounts });
        }
    }
    keys
}

fn sharing(graph: &BuildGraph, at: MountRef) -> Option<Sharing> {
    graph.mount(at).cache.as_ref().map(|cache| cache.sharing)
}
