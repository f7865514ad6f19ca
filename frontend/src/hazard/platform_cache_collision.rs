//! One step on several platforms, and one cache for all of them: they run at once in one directory (buildx issue 549).

use std::collections::BTreeMap;

use super::{Documentation, Finding, Rule, Severity, tool};
use crate::graph::{BuildGraph, CacheKey, MountRef, User};

/// See [`super::RULES`].
pub(super) static PLATFORM_CACHE_COLLISION: Rule = Rule {
    name: "PlatformCacheCollision",
    summary: "a step is built for several platforms with one cache, which then holds files of all of them",
    documentation: Documentation {
        what: "\
A step is built for two or more platforms, and the id of its cache does not vary with the platform. It is a note where what
is cached is the same for all platforms, as downloaded modules are.",
        why: "\
The platform is no part of a cache's identity. The step runs on all platforms at once in one directory, and objects of one
architecture meet those of another: <https://github.com/docker/buildx/issues/549>.",
        bad: r"FROM gcc
RUN --mount=type=cache,target=/objects make
",
        good: r"FROM gcc
ARG TARGETPLATFORM
RUN --mount=type=cache,id=objects-$TARGETPLATFORM,target=/objects make
",
        platforms: &["linux/amd64", "linux/arm64"],
        mended: "\
By `namespace`: each platform gets a cache of its own.",
    },
    find,
};

fn find(rule: &'static Rule, graph: &BuildGraph) -> Vec<Finding> {
    if !graph.is_multi_platform() {
        return Vec::new();
    }
    graph.caches().into_iter().filter_map(|(key, mounts)| collision(rule, graph, key, &mounts)).collect()
}

fn collision(
    rule: &'static Rule,
    graph: &BuildGraph,
    key: &CacheKey,
    mounts: &[MountRef],
) -> Option<Finding> {
    let mut copies = BTreeMap::<_, Vec<MountRef>>::new();
    for at in mounts {
        let step = graph.step(at.step);
        if let Some(location) = &step.location {
            copies.entry((location, &step.stage)).or_default().push(*at);
        }
    }
    // Two triggers of an image stand in one place as well, but one after the other.
    let is_collision = |mounts: &Vec<MountRef>| {
        let first = graph.step(mounts[0].step).built_for();
        let differs = mounts.iter().any(|at| graph.step(at.step).built_for() != first);
        let steps = mounts.iter().map(|at| User { step: at.step, writes: true });
        differs && !graph.concurrent_users(&steps.collect::<Vec<_>>()).is_empty()
    };
    let colliding: Vec<_> = copies.into_values().filter(is_collision).flatten().collect();
    let mut platforms: Vec<_> = colliding.iter().filter_map(|at| graph.step(at.step).built_for()).collect();
    platforms.sort_unstable();
    platforms.dedup();
    // It is only harmless if all that is stored there is.
    let is_neutral = |at: &MountRef| tool::of(&graph.mount(*at).target).is_some_and(|tool| tool.neutral);
    let severity = if colliding.iter().all(is_neutral) { Severity::Note } else { Severity::Warning };
    let message =
        format!("{} use one cache {key}: the id does not vary with the platform", platforms.join(" and "));
    Finding::new(graph, rule, severity, vec![key.clone()], colliding, message)
}
