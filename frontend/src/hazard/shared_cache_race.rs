//! Concurrent steps write to one cache.

use super::{Documentation, Finding, Rule, Severity, tool, tool_lock_outside_mount};
use crate::graph::{BuildGraph, CacheKey, MountRef, Sharing, User};

/// See [`super::RULES`].
pub(super) static SHARED_CACHE_RACE: Rule = Rule {
    name: "SharedCacheRace",
    summary: "concurrent steps mount one cache with sharing=shared, and at least one of them may write",
    documentation: Documentation {
        what: "\
Steps that may run at the same time mount one cache with `sharing=shared`, which is the default, and at least one of them
may write to it. How bad that is depends on the tool: an error where it is known not to bear it (apt, dpkg), a note where it
is known to (Go, npm, pip, ccache), else a warning.",
        why: "\
BuildKit runs steps that do not need each other at once, and gives all users of a shared cache one directory. A tool that
does not lock its cache then sees half-written files; one that locks without waiting, as apt does, fails with `Could not get
lock`. The Dockerfile reference says so of apt and asks for `sharing=locked`:
<https://docs.docker.com/reference/dockerfile/#run---mounttypecache>.",
        bad: r"FROM maven AS api
RUN --mount=type=cache,target=/root/.m2 mvn -f api package
FROM maven AS web
RUN --mount=type=cache,target=/root/.m2 mvn -f web package
FROM scratch
COPY --from=api /api.jar /
COPY --from=web /web.jar /
",
        good: r"FROM maven AS api
RUN --mount=type=cache,target=/root/.m2,sharing=locked mvn -f api package
FROM maven AS web
RUN --mount=type=cache,target=/root/.m2,sharing=locked mvn -f web package
FROM scratch
COPY --from=api /api.jar /
COPY --from=web /web.jar /
",
        platforms: &[],
        mended: "\
By `lock`: every mount of the cache gets `sharing=locked`, and the steps take turns. `policy=order` runs them one after the
other, `policy=namespace` gives each stage a cache of its own. What the tool is known to bear stays as it is.",
    },
    find,
};

fn find(rule: &'static Rule, graph: &BuildGraph) -> Vec<Finding> {
    graph.caches().into_iter().filter_map(|(key, mounts)| race(rule, graph, key, &mounts)).collect()
}

fn race(rule: &'static Rule, graph: &BuildGraph, key: &CacheKey, mounts: &[MountRef]) -> Option<Finding> {
    let shared = |at: &&MountRef| {
        graph.mount(**at).cache.as_ref().is_some_and(|cache| cache.sharing == Sharing::Shared)
    };
    let shared: Vec<_> = mounts.iter().filter(shared).copied().collect();
    let users: Vec<_> =
        shared.iter().map(|at| User { step: at.step, writes: !graph.mount(*at).readonly }).collect();
    let racing = graph.racing_users(&users);
    let mounts: Vec<_> = shared
        .into_iter()
        .filter(|at| racing.binary_search_by_key(&graph.rank(at.step), |step| graph.rank(*step)).is_ok())
        .collect();

    let tool = tool_of(graph, key, &mounts);
    let bears = match tool {
        Some(tool) if tool.bears => format!(" ({} is known to bear it)", tool.name),
        Some(tool) => format!(" ({} does not bear it)", tool.name),
        None => String::new(),
    };
    let message =
        format!("{} concurrent steps use the cache {key} at once with sharing=shared{bears}", racing.len());
    Finding::new(graph, rule, tool::severity(tool), vec![key.clone()], mounts, message)
}

/// How bad it is that these shared mounts of a cache are used at once, if anybody writes.
pub(crate) fn severity_of_sharing(graph: &BuildGraph, key: &CacheKey, mounts: &[MountRef]) -> Severity {
    tool::severity(tool_of(graph, key, mounts))
}

fn tool_of(graph: &BuildGraph, key: &CacheKey, mounts: &[MountRef]) -> Option<&'static tool::Tool> {
    // Of several the one that bears least, whichever step comes first.
    let of_mounts = mounts.iter().filter_map(|at| tool::of(&graph.mount(*at).target));
    let tool = of_mounts.min_by_key(|tool| (tool.bears, &tool.name)).or_else(|| tool::of(&key.id));
    // A tool whose lock not all of them see protects nothing.
    tool.filter(|_| mounts.iter().all(|at| tool_lock_outside_mount::lock_outside(graph, *at).is_none()))
}
