//! The line in a build's output for each hazard that was mended.

use crate::graph::BuildGraph;
use crate::plan::{Mended, Strategy};

/// What it was, where, and what was done. None for what was left alone.
#[must_use]
pub fn notice(graph: &BuildGraph, mended: &Mended) -> Option<String> {
    let done = match (mended.strategy, mended.finding.rule.name) {
        (Strategy::None, _) => return None,
        (Strategy::Lock, "CacheLockInversion") => "ci-build has them locked in one order",
        (Strategy::Lock, _) => "ci-build has it locked, so that they take turns",
        (Strategy::Prime, _) => "ci-build makes the mountpoints beforehand",
        (Strategy::Order, _) => "ci-build has them run one after the other",
        (Strategy::Namespace, "PlatformCacheCollision") => "ci-build gives each platform a cache of its own",
        (Strategy::Namespace, "CacheIdentityMismatch") => "ci-build gives each of them an id of its own",
        (Strategy::Namespace, _) => "ci-build gives each stage a cache of its own",
    };
    let finding = &mended.finding;
    let mut steps: Vec<_> = finding.mounts().map(|at| at.step).collect();
    steps.dedup();
    let mut places: Vec<_> = steps.into_iter().map(|step| graph.step(step).to_string()).collect();
    // The copies of a step for several platforms stand in one place.
    places.dedup();
    Some(format!("{}: {}: {}; {done}", finding.rule.name, finding.message, places.join(", ")))
}
