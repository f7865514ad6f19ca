//! One id, but different owners, modes or sources: silently two caches.
//!
//! A cache that does not start empty is keyed by what it starts from as well (`solver/llbsolver/mounts/mount.go`), and
//! `uid=`, `gid=` and `mode=` make it start from a directory that has them.

use std::collections::{BTreeMap, BTreeSet};

use super::{Documentation, Finding, Rule, Severity};
use crate::graph::{BuildGraph, CacheKey, MountRef};

/// See [`super::RULES`].
pub(super) static CACHE_IDENTITY_MISMATCH: Rule = Rule {
    name: "CacheIdentityMismatch",
    summary: "one cache id is mounted with different from, uid, gid or mode, which makes them different caches",
    documentation: Documentation {
        what: "\
One id is mounted with different `from`, `uid`, `gid` or `mode`.",
        why: "\
What a cache starts from is part of its identity: BuildKit silently keeps one cache for each of them
(`solver/llbsolver/mounts/mount.go` in <https://github.com/moby/buildkit>), so a step does not find what the other one stored,
and neither waits for the other's lock.",
        bad: r"FROM debian
RUN --mount=type=cache,id=deps,target=/deps,uid=1000 fetch
RUN --mount=type=cache,id=deps,target=/deps build
",
        good: r"FROM debian
RUN --mount=type=cache,id=deps,target=/deps,uid=1000 fetch
RUN --mount=type=cache,id=deps,target=/deps,uid=1000 build
",
        platforms: &[],
        mended: "\
By `namespace`: the first keeps the id, each of the others gets an id of its own, which is what they are anyway. By hand, give
all of them the same owner, mode and source if one cache was meant.",
    },
    find,
};

fn find(rule: &'static Rule, graph: &BuildGraph) -> Vec<Finding> {
    let mut by_id = BTreeMap::<&str, Vec<(&CacheKey, Vec<MountRef>)>>::new();
    for (key, mounts) in graph.caches() {
        by_id.entry(&key.id).or_default().push((key, mounts));
    }
    by_id.into_values().filter_map(|caches| mismatch(rule, graph, caches)).collect()
}

fn mismatch(
    rule: &'static Rule,
    graph: &BuildGraph,
    caches: Vec<(&CacheKey, Vec<MountRef>)>,
) -> Option<Finding> {
    // What a cache starts from differs from platform to platform by itself.
    let mut by_platform = BTreeMap::<_, BTreeSet<&CacheKey>>::new();
    for (key, mounts) in &caches {
        for at in mounts {
            by_platform.entry(graph.step(at.step).built_for()).or_default().insert(key);
        }
    }
    if by_platform.values().all(|keys| keys.len() < 2) {
        return None;
    }
    let keys: Vec<_> = caches.iter().map(|(key, _)| (*key).clone()).collect();
    let mounts = caches.into_iter().flat_map(|(_, mounts)| mounts).collect();
    let message = format!(
        "the cache id {} is mounted with different from, uid, gid or mode: these are different caches",
        keys[0],
    );
    Finding::new(graph, rule, Severity::Warning, keys, mounts, message)
}
