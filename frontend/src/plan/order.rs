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

/// Chains the users of every cache whose hazard is to be mended this way. `graph` is the build as the plan has it, but for names
/// that it has only just given.
pub(super) fn chain(graph: &BuildGraph, pending: &[Mended], settings: &Settings, plan: &mut Plan) {
    let ordered = pending.iter().filter(|mended| mended.strategy == Strategy::Order);
    let keys: BTreeSet<_> = ordered.flat_map(|mended| mended.finding.caches.clone()).collect();
    if keys.is_empty() {
        return;
    }
    // Names of their own may have parted the users.
    let named = plan.apply(graph);
    let caches = graph.caches();
    let mounts = keys.iter().filter_map(|key| caches.get(key)).flatten();
    let keys = mounts.filter_map(|at| Some(named.mount(*at).cache.as_ref()?.key.clone())).collect();
    let graph = &named;
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
            interval: 0,
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

#[cfg(test)]
mod tests {
    use proptest::prelude::{Strategy, prop, prop_assert, prop_assert_eq, proptest};

    use super::super::simulate::{Schedule, Simulation};
    use super::{BTreeMap, BTreeSet, BuildGraph, CacheKey, Chains, Millis, StepIndex, remaining, turns};
    use crate::graph::{CacheUse, GraphBuilder, Mount, Sharing, Step};

    fn key(cache: usize) -> CacheKey {
        CacheKey::new(format!("/{cache}"))
    }

    /// Steps with their caches and what they take, and who needs whom.
    fn build(steps: &[(Vec<usize>, Millis)], edges: &[(usize, usize)]) -> (BuildGraph, Vec<Millis>) {
        let mut builder = GraphBuilder::default();
        for (id, (caches, _)) in steps.iter().enumerate() {
            let mount = |cache: &usize| Mount {
                cache: Some(CacheUse { key: key(*cache), sharing: Sharing::Shared }),
                ..Mount::default()
            };
            let mounts = caches.iter().map(mount).collect();
            builder.add(Step { id: id.to_string(), mounts, ..Step::default() });
        }
        for (before, after) in edges {
            builder.depend(StepIndex::new(*before), StepIndex::new(*after));
        }
        (builder.finish().unwrap(), steps.iter().map(|(_, cost)| *cost).collect())
    }

    fn keys() -> BTreeSet<CacheKey> {
        (0..3).map(key).collect()
    }

    fn simulate(graph: &BuildGraph, costs: &[Millis]) -> Schedule {
        let (turns, priorities) = (turns(graph, &keys()), remaining(graph, costs));
        Simulation { graph, costs, turns: &turns, priorities: &priorities, interval: 0 }.run()
    }

    fn file_order(graph: &BuildGraph) -> Chains {
        Chains::along(graph, &keys(), &graph.steps().map(|(step, _)| step).collect::<Vec<_>>())
    }

    /// Users of one cache that differ in what comes before and behind them: the order of their steps, by number.
    fn chain(steps: &[(Vec<usize>, Millis)], edges: &[(usize, usize)]) -> Vec<usize> {
        let (graph, costs) = build(steps, edges);
        let chains = Chains::shortest(&graph, &keys(), &costs);
        chains.order.iter().map(|step| step.index()).filter(|step| !steps[*step].0.is_empty()).collect()
    }

    #[test]
    fn who_has_most_behind_it_goes_first_and_nobody_waits_for_who_is_late() {
        let (none, one) = (Vec::new, || vec![0]);
        // Two users; behind the second is a long step.
        assert_eq!(chain(&[(one(), 10), (one(), 10), (none(), 50)], &[(1, 2)]), [1, 0]);
        assert_eq!(chain(&[(one(), 10), (one(), 10), (none(), 50)], &[(0, 2)]), [0, 1]);
        // Before the first is a long step.
        assert_eq!(chain(&[(none(), 50), (one(), 10), (one(), 10)], &[(0, 1)]), [2, 1]);
        // All the same: as in the file.
        assert_eq!(chain(&[(one(), 10), (one(), 10), (one(), 10)], &[]), [0, 1, 2]);
        // What the build has in order stays in it.
        assert_eq!(chain(&[(one(), 1), (one(), 1), (none(), 9)], &[(0, 1), (1, 2)]), [0, 1]);
    }

    fn builds() -> impl Strategy<Value = (BuildGraph, Vec<Millis>)> {
        let step = (prop::collection::vec(0_usize..3, 0..3), 0_u64..100);
        let edges = prop::collection::vec((0_usize..10, 0_usize..10), 0..12);
        (prop::collection::vec(step, 1..10), edges).prop_map(|(steps, edges)| {
            let is_there = |(a, b): &(usize, usize)| a < b && *b < steps.len();
            let edges: Vec<_> = edges.into_iter().filter(is_there).collect();
            build(&steps, &edges)
        })
    }

    proptest! {
        #[test]
        fn the_order_of_a_schedule_is_one_of_the_build((graph, costs) in builds()) {
            let schedule = simulate(&graph, &costs);
            prop_assert_eq!(&schedule, &simulate(&graph, &costs));
            let mut places = BTreeMap::new();
            for (place, step) in schedule.starts.iter().enumerate() {
                prop_assert_eq!(places.insert(*step, place), None);
            }
            prop_assert_eq!(places.len(), costs.len());
            for (step, _) in graph.steps() {
                for needed in graph.dependencies(step) {
                    prop_assert!(places[&needed] < places[&step]);
                }
            }
        }

        #[test]
        fn one_at_a_time_takes_as_long_as_all_of_them((graph, costs) in builds()) {
            let schedule = simulate(&graph, &costs);
            for mounts in graph.caches().values() {
                let users: BTreeSet<_> = mounts.iter().map(|at| at.step).collect();
                prop_assert!(schedule.wall >= users.iter().map(|step| costs[step.index()]).sum());
            }
            let longest = remaining(&graph, &costs).into_iter().max().unwrap_or(0);
            prop_assert!((longest..=costs.iter().sum()).contains(&schedule.wall));
            // A link keeps a step from waiting with another cache in its hands.
            let chains = Chains::along(&graph, &keys(), &schedule.starts);
            prop_assert!(chains.wall(&graph, &costs, 0) <= schedule.wall);
        }

        #[test]
        fn the_shortest_is_no_longer_than_the_order_of_the_file((graph, costs) in builds()) {
            let chains = Chains::shortest(&graph, &keys(), &costs);
            prop_assert!(chains.wall(&graph, &costs, 0) <= file_order(&graph).wall(&graph, &costs, 0));
            let after = chains.links.iter().filter_map(|(at, before)| Some(((*before)?, at.step)));
            let ordered = graph.with_dependencies(after);
            for mounts in graph.caches().values() {
                for (place, at) in mounts.iter().enumerate() {
                    for other in &mounts[..place] {
                        prop_assert!(!ordered.are_concurrent(at.step, other.step));
                    }
                }
            }
        }
    }
}
