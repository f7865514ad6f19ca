//! Lock orders: what a definition permutes, a text cannot.
//!
//! The engine takes a step's locks in the order of their targets. So where steps take locks in conflicting orders, each of
//! them gets one more cache, the same for all, whose target comes before all others: who holds it alone goes on to the
//! other locks, and nobody waits for a lock that somebody holds who waits for theirs.

use std::collections::{BTreeMap, BTreeSet};

use crate::graph::{BuildGraph, CacheKey, CacheUse, Mount, Sharing, Step, StepIndex};
use crate::hazard;

/// What the ids of gates begin with.
const PREFIX: &str = "ci-build-gate-";

/// Targets of a gate. The first leaves no directory in the image, since `/dev` is a file system of its own in every step;
/// the second comes before nearly everything.
const TARGETS: [&str; 2] = ["/dev/.ci-build-gate", "/!ci-build-gate"];

/// A gate, and the steps that have to pass it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Gate {
    pub(super) id: String,
    pub(super) steps: BTreeSet<StepIndex>,
    /// Whether each platform has its own.
    pub(super) by_platform: bool,
}

/// A group of entangled caches, and the steps that hold several of them.
#[derive(Debug, Clone, Default)]
struct Group {
    caches: BTreeSet<CacheKey>,
    steps: BTreeSet<StepIndex>,
}

/// The gates that a build needs. Each step passes one at most: groups that share a cache or an instruction are one.
pub(super) fn find(graph: &BuildGraph) -> Vec<Gate> {
    let mut groups = Vec::<Group>::new();
    let mut guarded = graph.clone();
    // Every round finds a cycle that was not known, and there are no more groups than steps.
    loop {
        let findings = hazard::find(&guarded);
        let cycles: Vec<_> =
            findings.into_iter().filter(|finding| finding.rule.name == "CacheLockInversion").collect();
        let known = groups.iter().map(|group| group.steps.len()).sum::<usize>();
        for finding in cycles {
            let caches: BTreeSet<_> = finding.caches.into_iter().filter(|key| !is_gate(key)).collect();
            groups.push(Group { steps: holders(graph, &caches), caches });
        }
        groups = merge(graph, groups);
        if groups.iter().map(|group| group.steps.len()).sum::<usize>() == known {
            return groups.iter().map(|group| gate(graph, group)).collect();
        }
        guarded = with_gates(graph, &groups);
    }
}

/// Whether a cache is a gate, of an earlier rewrite too.
pub(super) fn is_gate(key: &CacheKey) -> bool {
    id(key).starts_with(PREFIX)
}

/// The id without its namespace.
fn id(key: &CacheKey) -> &str {
    key.id.split_once('/').map_or(&*key.id, |(_, id)| id)
}

/// The steps that hold the locks of several of these caches.
fn holders(graph: &BuildGraph, caches: &BTreeSet<CacheKey>) -> BTreeSet<StepIndex> {
    let holds_several = |step: &Step| {
        let locked = step.caches().filter(|(_, _, cache)| cache.sharing == Sharing::Locked);
        let held: BTreeSet<_> = locked
            .filter(|(_, _, cache)| caches.contains(&cache.key))
            .map(|(_, _, cache)| &cache.key)
            .collect();
        held.len() > 1
    };
    graph.steps().filter(|(_, step)| holds_several(step)).map(|(index, _)| index).collect()
}

/// What a step is in the text.
pub(super) fn instruction(step: &Step) -> Option<usize> {
    step.mounts.iter().filter_map(|mount| mount.span.as_ref()).map(|span| span.start).min()
}

fn merge(graph: &BuildGraph, groups: Vec<Group>) -> Vec<Group> {
    let mut merged = Vec::<Group>::new();
    for mut group in groups {
        let instructions = |group: &Group| {
            group.steps.iter().filter_map(|step| instruction(graph.step(*step))).collect::<BTreeSet<_>>()
        };
        // What joins may join others, so this goes on until nothing does.
        while let Some(place) = merged.iter().position(|other| {
            !other.caches.is_disjoint(&group.caches)
                || !instructions(other).is_disjoint(&instructions(&group))
        }) {
            let other = merged.swap_remove(place);
            group.caches.extend(other.caches);
            group.steps.extend(other.steps);
            group.steps.extend(holders(graph, &group.caches));
        }
        merged.push(group);
    }
    merged
}

fn with_gates(graph: &BuildGraph, groups: &[Group]) -> BuildGraph {
    graph.map_steps(|index, step| {
        let mut step = step.clone();
        if let Some(place) = groups.iter().position(|group| group.steps.contains(&index)) {
            let key = CacheKey::new(format!("/{PREFIX}{place}"));
            let cache = Some(CacheUse { key, sharing: Sharing::Locked });
            step.mounts.insert(0, Mount { target: TARGETS[1].to_owned(), cache, ..Mount::default() });
        }
        step
    })
}

/// Its name is that of its first cache, so it is the same in every build, and the same for other builds of this file.
fn gate(graph: &BuildGraph, group: &Group) -> Gate {
    let caches = group.steps.iter().flat_map(|step| graph.step(*step).caches());
    let known = caches.map(|(_, _, cache)| &cache.key).find(|key| is_gate(key)).map(id);
    let first = group.caches.first().map(id).unwrap_or_default();
    // What each platform has its own of is called the same on all.
    let of_platforms = group.steps.iter().filter_map(|step| graph.step(*step).platform.as_deref());
    let parted = of_platforms.filter_map(|platform| first.split_once(&format!("@{platform}"))).min();
    let (first, rest) = parted.unwrap_or((first, ""));
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let name: String = first.chars().chain(rest.chars()).map(|c| if is_plain(c) { c } else { '-' }).collect();
    let mut platforms = BTreeMap::<_, BTreeSet<_>>::new();
    for step in group.steps.iter().map(|step| graph.step(*step)) {
        platforms.entry(instruction(step)).or_default().insert(&step.platform);
    }
    Gate {
        id: known.map_or_else(|| format!("{PREFIX}{}", name.trim_matches('-')), str::to_owned),
        steps: group.steps.clone(),
        by_platform: platforms.values().any(|platforms| platforms.len() > 1),
    }
}

/// Where a step mounts its gate: before all its caches. None if nothing comes before them.
pub(super) fn target(step: &Step) -> Option<&'static str> {
    TARGETS.into_iter().find(|target| step.caches().all(|(_, mount, _)| *target < &*mount.target))
}
