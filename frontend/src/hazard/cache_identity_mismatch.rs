//! One id, but different owners, modes or sources: silently two caches.
//!
//! A cache that does not start empty is keyed by what it starts from as well (`solver/llbsolver/mounts/mount.go`), and
//! `uid=`, `gid=` and `mode=` make it start from a directory that has them.

use std::collections::{BTreeMap, BTreeSet};

use super::{Finding, Rule, Severity};
use crate::graph::{BuildGraph, CacheKey, MountRef};

/// See [`super::RULES`].
pub(super) static CACHE_IDENTITY_MISMATCH: Rule = Rule {
    name: "CacheIdentityMismatch",
    summary: "one cache id is mounted with different from, uid, gid or mode, which makes them different caches",
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
