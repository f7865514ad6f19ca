//! Mounts inside a shared cache: the runtimes of concurrent steps make the same directory in it.
//!
//! A mount within a cache mount needs a mountpoint there. runc 1.2.0 to 1.2.2 look, then make it, and fail with "file
//! exists" when another step was quicker (buildkit issue 5566, runc issue 4543).

use std::collections::{BTreeMap, BTreeSet};

use super::{Documentation, Finding, Rule, Severity};
use crate::graph::{BuildGraph, CacheKey, Mount, MountRef, Sharing, Step, User};

/// See [`super::RULES`].
pub(super) static NESTED_MOUNTPOINT_RACE: Rule = Rule {
    name: "NestedMountpointRace",
    summary: "concurrent steps mount something inside one shared cache, and race to make the mountpoint",
    documentation: Documentation {
        what: "\
Steps that may run at the same time mount one cache with `sharing=shared`, and each mounts something else, of any type, inside
it, below the same directory.",
        why: "\
The runtime makes the mountpoint of the inner mount in the outer cache. runc 1.2.0 to 1.2.2 look whether it is there and then
make it, and fail with `file exists` when the other step was quicker: <https://github.com/moby/buildkit/issues/5566>,
<https://github.com/opencontainers/runc/issues/4543>.",
        bad: r"FROM node AS api
RUN --mount=type=cache,target=/cache \
    --mount=type=cache,id=api,target=/cache/build,sharing=locked make api
FROM node AS web
RUN --mount=type=cache,target=/cache \
    --mount=type=cache,id=web,target=/cache/build,sharing=locked make web
FROM scratch
COPY --from=api /api /
COPY --from=web /web /
",
        good: r"FROM node AS api
RUN --mount=type=cache,target=/cache,sharing=locked \
    --mount=type=cache,id=api,target=/build,sharing=locked make api
FROM node AS web
RUN --mount=type=cache,target=/cache,sharing=locked \
    --mount=type=cache,id=web,target=/build,sharing=locked make web
FROM scratch
COPY --from=api /api /
COPY --from=web /web /
",
        platforms: &[],
        mended: "\
Where several writers are no hazard, by `prime`: a step of ours makes the mountpoints before the others start, and they run at
once as before. Else, and in text, by `lock`: the outer cache gets `sharing=locked`, so that one step at a time makes the
mountpoint. By hand, a mount beside the cache in place of one inside it does as well.",
    },
    find,
};

fn find(rule: &'static Rule, graph: &BuildGraph) -> Vec<Finding> {
    graph.caches().into_iter().filter_map(|(key, mounts)| race(rule, graph, key, &mounts)).collect()
}

fn race(rule: &'static Rule, graph: &BuildGraph, key: &CacheKey, mounts: &[MountRef]) -> Option<Finding> {
    // By the directory that would be made: the steps that make it.
    let mut makers = BTreeMap::<&str, Vec<MountRef>>::new();
    for at in mounts {
        let outer = graph.mount(*at);
        let is_shared = outer.cache.as_ref().is_some_and(|cache| cache.sharing == Sharing::Shared);
        if !is_shared || outer.readonly || outer.primed {
            continue;
        }
        let inside = mounts_inside(graph.step(at.step), at.mount);
        let inside: BTreeSet<_> = inside.filter_map(|inner| below(&outer.target, &inner.target)).collect();
        for directory in inside {
            makers.entry(directory).or_default().push(*at);
        }
    }
    let mut racing = BTreeSet::new();
    let mut directories = Vec::new();
    for (directory, makers) in makers {
        let users: Vec<_> = makers.iter().map(|at| User { step: at.step, writes: true }).collect();
        let steps = graph.racing_users(&users);
        if !steps.is_empty() {
            directories.push(directory);
            racing.extend(makers.into_iter().filter(|at| steps.contains(&at.step)));
        }
    }
    let message = format!(
        "concurrent steps mount something at {} inside the shared cache {key}, and some runtimes fail when two make it",
        directories.join(", "),
    );
    Finding::new(graph, rule, Severity::Warning, vec![key.clone()], racing.into_iter().collect(), message)
}

/// The other mounts of a step inside the one at a place.
pub(crate) fn mounts_inside(step: &Step, place: usize) -> impl Iterator<Item = &Mount> {
    let others = step.mounts.iter().enumerate().filter(move |(other, _)| *other != place);
    let outer = &step.mounts[place].target;
    others.map(|(_, inner)| inner).filter(|inner| below(outer, &inner.target).is_some())
}

/// The first component of `inner` below `outer`.
fn below<'i>(outer: &str, inner: &'i str) -> Option<&'i str> {
    let rest = inner.strip_prefix(outer.trim_end_matches('/'))?.strip_prefix('/')?;
    rest.split('/').find(|part| !part.is_empty())
}

#[cfg(test)]
mod tests {
    use super::below;

    #[test]
    fn whole_components_count() {
        assert_eq!(below("/foo/bar", "/foo/bar/baz/x"), Some("baz"));
        assert_eq!(below("/foo/bar/", "/foo/bar/baz"), Some("baz"));
        assert_eq!(below("/foo/bar", "/foo/barbaz"), None);
        assert_eq!(below("/foo/bar", "/foo/bar"), None);
        assert_eq!(below("/foo/bar", "/foo"), None);
        assert_eq!(below("/", "/foo"), Some("foo"));
    }
}
