//! Caches of their own: the id of a cache gets something appended that keeps its users apart.
//!
//! The names are stable from build to build, so each of these caches is warm the next time.

use std::collections::BTreeMap;

use super::{Mended, Plan, Strategy};
use crate::graph::{BuildGraph, CacheKey, CacheUse, MountRef};
use crate::hazard::Finding;

/// What keeps the users of a cache apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Apart {
    /// The stage, and the platform where there are several. The steps of one stage depend on each other, so a cache that
    /// belongs to one stage on one platform has no concurrent users.
    Stage,
    /// The platform.
    Platform,
    /// What the cache starts from: they are different caches already, and get different names.
    Identity,
}

impl Apart {
    fn by(rule: &str) -> Self {
        match rule {
            "PlatformCacheCollision" => Self::Platform,
            "CacheIdentityMismatch" => Self::Identity,
            _ => Self::Stage,
        }
    }
}

/// Whether nothing else mends it: nothing keeps platforms apart, or gives different caches different names, but names.
pub(super) fn is_the_only_way(finding: &Finding) -> bool {
    Apart::by(finding.rule.name) != Apart::Stage
}

/// Separates the users of every cache whose hazard is to be mended this way. `graph` is the build as the plan has it.
pub(super) fn separate(graph: &BuildGraph, pending: &[Mended], plan: &mut Plan) {
    let caches = graph.caches();
    let mut wanted = BTreeMap::<CacheKey, Apart>::new();
    for mended in pending.iter().filter(|mended| mended.strategy == Strategy::Namespace) {
        let apart = Apart::by(mended.finding.rule.name);
        for key in &mended.finding.caches {
            // The stage's suffix names the platform as well.
            wanted.entry(key.clone()).and_modify(|wanted| *wanted = apart.min(*wanted)).or_insert(apart);
        }
    }
    let ordinals = identities(graph, &wanted);
    for (key, apart) in &wanted {
        for at in caches.get(key).into_iter().flatten() {
            let Some(cache) = &graph.mount(*at).cache else { continue };
            let suffix = match apart {
                Apart::Stage => stage_suffix(graph, *at),
                Apart::Platform => platform_suffix(graph, *at),
                Apart::Identity => {
                    let place = (graph.step(at.step).built_for(), key);
                    ordinals.get(&place).cloned().unwrap_or_default()
                }
            };
            if !suffix.is_empty() {
                let key = CacheKey { id: format!("{}{suffix}", key.id), identity: key.identity.clone() };
                plan.set_cache(*at, CacheUse { key, sharing: cache.sharing });
            }
        }
    }
}

fn stage_suffix(graph: &BuildGraph, at: MountRef) -> String {
    let stage = graph.step(at.step).stage.as_deref().unwrap_or("stage-0");
    format!("@{stage}{}", if graph.is_multi_platform() { platform_suffix(graph, at) } else { String::new() })
}

fn platform_suffix(graph: &BuildGraph, at: MountRef) -> String {
    graph.step(at.step).built_for().map_or(String::new(), |platform| format!("@{platform}"))
}

/// The caches of one id by number, in file order: the first keeps the id. What a cache starts from differs from platform to
/// platform by itself, so each platform counts for itself.
fn identities<'g>(
    graph: &'g BuildGraph,
    wanted: &'g BTreeMap<CacheKey, Apart>,
) -> BTreeMap<(Option<&'g str>, &'g CacheKey), String> {
    let mut mounts: Vec<(MountRef, &CacheKey)> = Vec::new();
    let caches = graph.caches();
    for (key, _) in wanted.iter().filter(|(_, apart)| **apart == Apart::Identity) {
        mounts.extend(caches.get(key).into_iter().flatten().map(|at| (*at, key)));
    }
    mounts.sort_by(|(a, _), (b, _)| graph.file_order(*a).cmp(&graph.file_order(*b)));
    let mut counts = BTreeMap::<_, usize>::new();
    let mut suffixes = BTreeMap::new();
    for (at, key) in mounts {
        let platform = graph.step(at.step).built_for();
        suffixes.entry((platform, key)).or_insert_with(|| {
            let count = counts.entry((platform, &key.id)).or_default();
            *count += 1;
            if *count == 1 { String::new() } else { format!("@{count}") }
        });
    }
    suffixes
}
