//! Caches of their own: the id of a cache gets the stage's name appended, and the platform's where there are several.
//!
//! The steps of one stage depend on each other, so a cache that belongs to one stage on one platform has no concurrent
//! users. The names are stable from build to build, so each of these caches is warm the next time.

use super::{Plan, Strategy};
use crate::graph::{BuildGraph, CacheUse, Step};

/// Separates the users of every cache whose hazard is to be mended this way.
pub(super) fn separate(graph: &BuildGraph, plan: &mut Plan) {
    let caches = graph.caches();
    let several_platforms = graph.is_multi_platform();
    let to_separate: Vec<_> = plan
        .mended
        .iter()
        .filter(|mended| mended.strategy == Strategy::Namespace)
        .flat_map(|mended| mended.finding.caches.clone())
        .collect();
    for key in to_separate {
        for at in caches.get(&key).into_iter().flatten() {
            let Some(cache) = &graph.mount(*at).cache else { continue };
            let mut own = key.clone();
            own.id.push_str(&suffix(graph.step(at.step), several_platforms));
            plan.set_cache(*at, CacheUse { key: own, sharing: cache.sharing });
        }
    }
}

fn suffix(step: &Step, several_platforms: bool) -> String {
    let stage = step.stage.as_deref().unwrap_or("stage-0");
    match step.platform.as_deref().filter(|_| several_platforms) {
        Some(platform) => format!("@{stage}@{platform}"),
        None => format!("@{stage}"),
    }
}
