//! One cache with different sharing modes: whoever comes second may find it empty, and the cache forks for good.
//!
//! A `shared` user that finds the record held by a `locked` one does not wait but makes a new, empty record under the
//! same key (buildkit issue 2459).

use std::collections::BTreeSet;

use super::{Documentation, Finding, Rule, Severity};
use crate::graph::{BuildGraph, CacheKey, MountRef, Sharing, User};

/// See [`super::RULES`].
pub(super) static MIXED_CACHE_SHARING: Rule = Rule {
    name: "MixedCacheSharing",
    summary: "one cache is mounted with different sharing modes, so that a step may find it empty",
    documentation: Documentation {
        what: "\
One cache is mounted with different sharing modes: an error where two of the steps may run at the same time, else a warning,
because builds beside this one use the cache too.",
        why: "\
A user that comes with `sharing=shared` while a `locked` one runs does not wait for it. It gets a new, empty cache under the
same id, and from then on there are two: <https://github.com/moby/buildkit/issues/2459>.",
        bad: r"FROM debian AS fetch
RUN --mount=type=cache,id=src,target=/src,sharing=locked fetch
FROM debian AS build
RUN --mount=type=cache,id=src,target=/src build
FROM scratch
COPY --from=fetch /a /
COPY --from=build /b /
",
        good: r"FROM debian AS fetch
RUN --mount=type=cache,id=src,target=/src,sharing=locked fetch
FROM debian AS build
RUN --mount=type=cache,id=src,target=/src,sharing=locked build
FROM scratch
COPY --from=fetch /a /
COPY --from=build /b /
",
        platforms: &[],
        mended: "\
By `lock`: every mount of the cache gets `sharing=locked`. `policy=namespace` gives each stage a cache of its own.",
    },
    find,
};

fn find(rule: &'static Rule, graph: &BuildGraph) -> Vec<Finding> {
    graph.caches().into_iter().filter_map(|(key, mounts)| mixed(rule, graph, key, mounts)).collect()
}

fn mixed(rule: &'static Rule, graph: &BuildGraph, key: &CacheKey, mounts: Vec<MountRef>) -> Option<Finding> {
    let sharing = |at: &MountRef| graph.mount(*at).cache.as_ref().map(|cache| cache.sharing);
    let modes: BTreeSet<Sharing> = mounts.iter().filter_map(sharing).collect();
    if modes.len() < 2 {
        return None;
    }
    let users: Vec<_> = mounts.iter().map(|at| User { step: at.step, writes: true }).collect();
    let concurrent = !graph.racing_users(&users).is_empty();
    let severity = if concurrent { Severity::Error } else { Severity::Warning };
    let modes = modes.into_iter().map(Sharing::name).collect::<Vec<_>>().join(" and ");
    let message = if concurrent {
        format!("concurrent steps mount the cache {key} with sharing={modes}: one may find it empty")
    } else {
        format!(
            "the cache {key} is mounted with sharing={modes}: beside another build, a step may find it empty"
        )
    };
    Finding::new(graph, rule, severity, vec![key.clone()], mounts, message)
}
