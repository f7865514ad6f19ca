//! A tool that would lock its cache, but whose lock file is not in the mount: each step locks a file of its own.
//!
//! cargo's `.package-cache` lies in `CARGO_HOME`, not in `registry/` or `git/` (cargo issue 11376).

use super::{Documentation, Finding, Rule, Severity, tool};
use crate::graph::{BuildGraph, CacheKey, MountRef, Sharing, User};

/// See [`super::RULES`].
pub(super) static TOOL_LOCK_OUTSIDE_MOUNT: Rule = Rule {
    name: "ToolLockOutsideMount",
    summary: "concurrent steps share a tool's cache, but not the lock file with which the tool protects it",
    documentation: Documentation {
        what: "\
Steps that may run at the same time share the cache of a tool that locks it, but the tool's lock file lies outside of the
mounted directory.",
        why: "\
cargo protects its downloads by `.package-cache` in `CARGO_HOME`. A mount of `registry/` or `git/` alone leaves that file in
each step's own file system, so each step locks a file of its own: <https://github.com/rust-lang/cargo/issues/11376>. The tool
then counts as unknown for `SharedCacheRace`.",
        bad: r"FROM rust AS api
RUN --mount=type=cache,target=/usr/local/cargo/registry cargo build --bin api
FROM rust AS web
RUN --mount=type=cache,target=/usr/local/cargo/registry cargo build --bin web
FROM scratch
COPY --from=api /api /
COPY --from=web /web /
",
        good: r"FROM rust AS api
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked cargo build --bin api
FROM rust AS web
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked cargo build --bin web
FROM scratch
COPY --from=api /api /
COPY --from=web /web /
",
        platforms: &[],
        mended: "\
By `lock`: every mount of the cache gets `sharing=locked`, and the engine does what the tool's lock cannot.",
    },
    find,
};

fn find(rule: &'static Rule, graph: &BuildGraph) -> Vec<Finding> {
    graph.caches().into_iter().filter_map(|(key, mounts)| unlocked(rule, graph, key, &mounts)).collect()
}

fn unlocked(rule: &'static Rule, graph: &BuildGraph, key: &CacheKey, mounts: &[MountRef]) -> Option<Finding> {
    let open: Vec<_> = mounts.iter().copied().filter(|at| lock_outside(graph, *at).is_some()).collect();
    let users: Vec<_> =
        open.iter().map(|at| User { step: at.step, writes: !graph.mount(*at).readonly }).collect();
    let steps = graph.racing_users(&users);
    let racing: Vec<_> = open.into_iter().filter(|at| steps.contains(&at.step)).collect();
    let (tool, lock) = lock_outside(graph, *racing.first()?)?;
    let message = format!("{} locks {lock}, which lies outside the shared cache {key}", tool.name);
    Finding::new(graph, rule, Severity::Warning, vec![key.clone()], racing, message)
}

/// The tool behind a shared cache mount whose lock file no mount of the step covers, and that file.
pub(super) fn lock_outside(graph: &BuildGraph, at: MountRef) -> Option<(&'static tool::Tool, String)> {
    let mount = graph.mount(at);
    if mount.cache.as_ref()?.sharing != Sharing::Shared {
        return None;
    }
    let (tool, lock) = tool::lock_of(&mount.target)?;
    let covers = |target: &str| lock.starts_with(&format!("{}/", target.trim_end_matches('/')));
    let step = graph.step(at.step);
    let covered = step.caches().any(|(_, other, _)| covers(&other.target));
    (!covered).then_some((tool, lock))
}
