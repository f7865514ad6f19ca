//! The rule for lock inversions against an oracle that runs the build in every order.
//!
//! A step starts when those that it needs have ended, takes its caches one after another in the order of its mounts,
//! and gives them all back when it ends. Whoever takes a cache with `sharing=locked` waits until nobody has it, and the
//! others wait for nobody. A build can hang when it can come to where no step can go on.

use std::collections::HashSet;

use ci_build_frontend::graph::{
    BuildGraph, CacheKey, CacheUse, GraphBuilder, Mount, Sharing, Step, StepIndex,
};
use ci_build_frontend::hazard;
use ci_build_frontend::plan::{Plan, Policy};
use proptest::prelude::*;

use crate::build::{LOCKED, Size, builds};

/// Of each step how many of its caches it has taken; one more than it has when it has ended.
type State = Vec<usize>;

struct Simulator<'g> {
    graph: &'g BuildGraph,
    steps: Vec<StepIndex>,
    /// The caches of each step in the order in which it takes them, each once.
    caches: Vec<Vec<&'g CacheUse>>,
}

impl<'g> Simulator<'g> {
    fn of(graph: &'g BuildGraph) -> Self {
        let steps: Vec<_> = graph.steps().map(|(index, _)| index).collect();
        let caches = steps.iter().map(|step| {
            let mut caches = Vec::<&CacheUse>::new();
            for (_, _, cache) in graph.step(*step).caches() {
                if !caches.iter().any(|taken| taken.key == cache.key) {
                    caches.push(cache);
                }
            }
            caches
        });
        Self { graph, caches: caches.collect(), steps }
    }

    fn has_ended(&self, state: &State, step: usize) -> bool {
        state[step] > self.caches[step].len()
    }

    /// The states that may come next.
    fn next(&self, state: &State) -> Vec<State> {
        let mut held = HashSet::new();
        for (step, taken) in state.iter().enumerate() {
            if !self.has_ended(state, step) {
                held.extend(self.caches[step][..*taken].iter().map(|cache| &cache.key));
            }
        }
        let can_go_on = |step: &usize| {
            let may_start = self
                .graph
                .dependencies(self.steps[*step])
                .all(|needed| self.has_ended(state, self.graph.rank(needed)));
            let next = self.caches[*step].get(state[*step]);
            let waits =
                next.is_some_and(|cache| cache.sharing == Sharing::Locked && held.contains(&cache.key));
            may_start && !self.has_ended(state, *step) && !waits
        };
        let advance = |step: usize| {
            let mut next = state.clone();
            next[step] += 1;
            next
        };
        (0..state.len()).filter(can_go_on).map(advance).collect()
    }

    fn can_hang(&self) -> bool {
        let start = vec![0; self.steps.len()];
        let mut seen = HashSet::from([start.clone()]);
        let mut pending = vec![start];
        while let Some(state) = pending.pop() {
            let next = self.next(&state);
            if next.is_empty() && (0..state.len()).any(|step| !self.has_ended(&state, step)) {
                return true;
            }
            pending.extend(next.into_iter().filter(|state| seen.insert(state.clone())));
        }
        false
    }
}

const ANY: Size = Size { only_locked: false, ..LOCKED };

fn can_hang(graph: &BuildGraph) -> bool {
    Simulator::of(graph).can_hang()
}

fn is_found(graph: &BuildGraph) -> bool {
    hazard::find(graph).iter().any(|finding| finding.rule.name == "CacheLockInversion")
}

proptest! {
    #![proptest_config(crate::cases(512))]

    #[test]
    fn a_build_that_can_hang_is_found(graph in builds(LOCKED)) {
        if can_hang(&graph) {
            prop_assert!(is_found(&graph));
        }
    }

    #[test]
    fn a_build_that_is_found_can_hang(graph in builds(LOCKED)) {
        if is_found(&graph) {
            prop_assert!(can_hang(&graph));
        }
    }

    #[test]
    fn a_planned_build_cannot_hang(graph in builds(LOCKED)) {
        for policy in Policy::ALL.into_iter().filter(|policy| *policy != Policy::Off) {
            prop_assert!(!can_hang(&Plan::of(&graph, &policy.into()).apply(&graph)), "{policy}");
        }
    }

    #[test]
    fn with_mixed_modes_a_build_that_can_hang_is_found_as_one_or_the_other(graph in builds(ANY)) {
        if can_hang(&graph) {
            let rules = ["CacheLockInversion", "MixedCacheSharing"];
            prop_assert!(hazard::find(&graph).iter().any(|finding| rules.contains(&finding.rule.name)));
        }
    }

    #[test]
    fn a_planned_build_of_mixed_modes_cannot_hang(graph in builds(ANY)) {
        for policy in Policy::ALL.into_iter().filter(|policy| *policy != Policy::Off) {
            prop_assert!(!can_hang(&Plan::of(&graph, &policy.into()).apply(&graph)), "{policy}");
        }
    }
}

/// A build of steps that are all concurrent and lock these caches in this order.
fn build(steps: &[Vec<usize>]) -> BuildGraph {
    let mount = |cache: &usize| Mount {
        target: "/w".to_owned(),
        readonly: false,
        cache: Some(CacheUse { key: CacheKey::new(format!("/{cache}")), sharing: Sharing::Locked }),
        ..Mount::default()
    };
    let mut builder = GraphBuilder::default();
    for (id, locks) in steps.iter().enumerate() {
        let mounts = locks.iter().map(mount).collect();
        builder.add(Step { id: id.to_string(), mounts, ..Step::default() });
    }
    builder.finish().unwrap()
}

#[test]
fn a_lock_that_all_take_first_keeps_the_others_from_inversion() {
    assert!(is_found(&build(&[vec![1, 2], vec![2, 1]])));
    assert!(!is_found(&build(&[vec![0, 1, 2], vec![0, 2, 1]])));
    // Taken by one of them alone, it keeps nobody.
    assert!(is_found(&build(&[vec![0, 1, 2], vec![2, 1, 0]])));
    // A lock that some pairs share is no gate for the cycle of all three, if none of them has it by then.
    assert!(is_found(&build(&[vec![1, 2, 0], vec![2, 3, 0], vec![3, 1, 0]])));
    assert!(!is_found(&build(&[vec![0, 1, 2], vec![0, 2, 3], vec![3, 1]])));
}

/// The waits of one step are as many as the square of its locks, and the cycles more than anybody can count.
#[test]
fn thousands_of_locks_are_judged_and_put_in_order() {
    let order: Vec<_> = (0..4000).collect();
    assert!(!is_found(&build(&[order.clone(), order.clone()])));
    let conflicting = build(&[order.clone(), order.into_iter().rev().collect()]);
    let plan = Plan::of(&conflicting, &Policy::Lock.into());
    assert_eq!(plan.mended.len(), 1);
    assert!(!is_found(&plan.apply(&conflicting)));
}
