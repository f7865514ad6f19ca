//! One after the other: a step starts when the cache's user before it has ended.
//!
//! The order is that in which a simulated build starts its steps, where of those that wait for a cache the one goes first
//! behind which most is left to do. It is one order for all caches, and the build's own dependencies follow it, so new ones
//! along it cannot run in a circle. It is the same in every build, as long as the graph and the magnitude of its durations
//! are.

use std::collections::{BTreeMap, BTreeSet};

use super::simulate::{BySteps, Millis, Simulation, remaining, wall};
use super::{Durations, Medium, Mended, Plan, Settings, Strategy};
use crate::graph::{BuildGraph, CacheKey, MountRef, StepIndex};

/// Chains the users of every cache whose hazard is to be mended this way.
pub(super) fn chain(graph: &BuildGraph, pending: &[Mended], settings: &Settings, plan: &mut Plan) {
    let ordered = pending.iter().filter(|mended| mended.strategy == Strategy::Order);
    let keys: BTreeSet<_> = ordered.flat_map(|mended| mended.finding.caches.clone()).collect();
    if keys.is_empty() {
        return;
    }
    let chains = match settings.medium {
        Medium::Definition => Chains::shortest(graph, &keys, &costs(graph, &settings.durations)),
        Medium::Text => Chains::along(graph, &keys, &graph.steps().map(|(step, _)| step).collect::<Vec<_>>()),
    };
    for (at, after) in chains.links {
        plan.edits.entry(at.step).or_default().after.entry(at.mount).or_default().extend(after);
    }
}

/// What each step takes, in a cold build.
pub(super) fn costs(graph: &BuildGraph, durations: &Durations) -> BySteps<Millis> {
    let mut costs = vec![0; graph.steps().count()];
    for (index, step) in graph.steps() {
        costs[index.index()] = u64::try_from(durations.of(step).as_millis()).unwrap_or(Millis::MAX).max(1);
    }
    costs
}

/// Of each cache's users, who comes after whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chains {
    /// An order of the whole build that keeps all of it.
    pub order: Vec<StepIndex>,
    /// By the first mount of a cache in each of its users: the user before, where the build has them in no order. The others
    /// are there too.
    pub links: BTreeMap<MountRef, Option<StepIndex>>,
}

impl Chains {
    /// The order that makes the build the shortest, of that of the simulation and that of the file.
    pub(super) fn shortest(graph: &BuildGraph, keys: &BTreeSet<CacheKey>, costs: &[Millis]) -> Self {
        let simulation = Simulation {
            graph,
            costs,
            turns: &turns(graph, keys),
            priorities: &remaining(graph, costs),
            handover: 0,
        };
        let urgent = Self::along(graph, keys, &simulation.run().starts);
        let file = Self::along(graph, keys, &graph.steps().map(|(step, _)| step).collect::<Vec<_>>());
        if urgent.wall(graph, costs, 0) < file.wall(graph, costs, 0) { urgent } else { file }
    }

    /// The chains along an order of the build.
    fn along(graph: &BuildGraph, keys: &BTreeSet<CacheKey>, order: &[StepIndex]) -> Self {
        let mut places = vec![0; order.len()];
        for (place, step) in order.iter().enumerate() {
            places[step.index()] = place;
        }
        let mut links = BTreeMap::new();
        let caches = graph.caches();
        for mounts in keys.iter().filter_map(|key| caches.get(key)) {
            let mut users = mounts.clone();
            users.sort_by_key(|at| (places[at.step.index()], at.mount));
            users.dedup_by_key(|at| at.step);
            let mut previous: Option<StepIndex> = None;
            for at in users {
                let link = previous.filter(|previous| graph.are_concurrent(*previous, at.step));
                links.insert(at, link);
                previous = Some(at.step);
            }
        }
        Self { order: order.to_vec(), links }
    }

    /// How long the build takes, if each link costs a `delay`.
    pub(super) fn wall(&self, graph: &BuildGraph, costs: &[Millis], delay: Millis) -> Millis {
        let mut after = vec![Vec::new(); costs.len()];
        for (at, before) in &self.links {
            after[at.step.index()].extend(before);
        }
        wall(graph, costs, &self.order, &after, delay)
    }
}

/// The caches that each step has to itself, by their numbers.
pub(super) fn turns(graph: &BuildGraph, keys: &BTreeSet<CacheKey>) -> BySteps<Vec<usize>> {
    let numbers: BTreeMap<_, _> = keys.iter().enumerate().map(|(number, key)| (key, number)).collect();
    let mut turns = vec![Vec::new(); graph.steps().count()];
    for (index, step) in graph.steps() {
        let numbers: BTreeSet<_> =
            step.caches().filter_map(|(_, _, cache)| numbers.get(&cache.key)).collect();
        turns[index.index()] = numbers.into_iter().copied().collect();
    }
    turns
}
