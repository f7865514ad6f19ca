//! What taking turns costs, by lock and by order (docs/strategies.md).
//!
//! Both make the users of a cache run one at a time; which of them is quicker depends on what else the build does. A lock
//! is polled for, and whoever looks first goes first; an order is fixed beforehand, costs next to nothing, and waits for
//! a step that is late even where another one could go. So the build is simulated with each, in the situations in which people
//! build, and where durations are not known, with several that are made up.

use std::collections::BTreeSet;

use super::order::{Chains, costs, turns as turns_of};
use super::simulate::{BySteps, Millis, Simulation, remaining};
use super::{Durations, Strategy};
use crate::graph::{BuildGraph, CacheKey, StepIndex};

/// What a user of a lock waits on average when it has become free: the engine looks every 100 ms
/// (`solver/llbsolver/mounts/mount.go`, `getRefCacheDirNoCache`).
const HANDOVER: Millis = 50;

/// What a link of an order costs where nothing has to run: a directory to be looked up (docs/strategies.md tells the
/// measurement).
const LINK: Millis = 1;

/// What every build takes, whatever is in it, in milliseconds.
const BUILD: f64 = 250.0;

/// How much quicker an order has to be.
const MARGIN: f64 = 0.02;

/// A build of more steps than this is not simulated; a lock adapts to anything.
const MOST: usize = 5_000;

/// How often durations are made up.
const GUESSES: u64 = 8;

/// What somebody has changed since the build before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Situation {
    /// Everything: nothing is cached.
    Cold,
    /// Nothing.
    Cached,
    /// The stage of the first user of the caches.
    FirstStage,
    /// The stage of the last one.
    LastStage,
    /// What needs a user's result, and no user.
    After,
}

impl Situation {
    const ALL: [Self; 5] = [Self::Cold, Self::Cached, Self::FirstStage, Self::LastStage, Self::After];
}

/// The way for the users of these caches to take turns that is never much slower than the other one.
pub(super) fn turns(graph: &BuildGraph, caches: &BTreeSet<CacheKey>, durations: &Durations) -> Strategy {
    if graph.steps().count() > MOST {
        return Strategy::Lock;
    }
    let [lock, order] = excess(graph, caches, durations);
    if order + MARGIN < lock { Strategy::Order } else { Strategy::Lock }
}

/// How much longer a build takes at most, on average over what durations may be, with a lock and with an order than with
/// the better of the two: 0.1 is a tenth.
fn excess(graph: &BuildGraph, caches: &BTreeSet<CacheKey>, durations: &Durations) -> [f64; 2] {
    let expected = costs(graph, durations);
    let chains = Chains::shortest(graph, caches, &expected);
    let turns = turns_of(graph, caches);
    let users: Vec<_> =
        graph.steps().map(|(step, _)| step).filter(|step| !turns[step.index()].is_empty()).collect();
    let worlds = worlds(graph, &expected, durations);
    let mut most = [0.0_f64; 2];
    for situation in Situation::ALL {
        let runs = situation.runs(graph, &users);
        let mut sum = [0.0; 2];
        for world in &worlds {
            let costs: Vec<_> =
                world.iter().zip(&runs).map(|(cost, runs)| if *runs { *cost } else { 0 }).collect();
            let lock = with_locks(graph, &costs, &turns, &runs);
            let order = seconds(chains.wall(graph, &costs, LINK));
            let best = lock.min(order);
            sum[0] += lock / best - 1.0;
            sum[1] += order / best - 1.0;
        }
        for (most, sum) in most.iter_mut().zip(sum) {
            #[allow(clippy::cast_precision_loss)] // A handful.
            let mean = sum / worlds.len() as f64;
            *most = most.max(mean);
        }
    }
    most
}

/// Nobody knows who gets a lock first: the mean of the best and the worst who may.
fn with_locks(graph: &BuildGraph, costs: &[Millis], turns: &[Vec<usize>], runs: &[bool]) -> f64 {
    // What is cached takes no lock.
    let turns: Vec<_> =
        turns.iter().zip(runs).map(|(turns, runs)| if *runs { turns.clone() } else { Vec::new() }).collect();
    let remaining = remaining(graph, costs);
    let reversed: Vec<_> = remaining.iter().map(|remaining| Millis::MAX - remaining).collect();
    let wall = |priorities: &[Millis]| {
        let simulation = Simulation { graph, costs, turns: &turns, priorities, handover: HANDOVER };
        seconds(simulation.run().wall)
    };
    f64::midpoint(wall(&remaining), wall(&reversed))
}

/// Of a whole build.
fn seconds(wall: Millis) -> f64 {
    #[allow(clippy::cast_precision_loss)] // Years are exact.
    let wall = wall as f64;
    (wall + BUILD) / 1000.0
}

/// What the steps may take: what was measured or is usual, and where something was not measured, other magnitudes of it. They
/// are made up in the same way each time.
fn worlds(graph: &BuildGraph, expected: &[Millis], durations: &Durations) -> Vec<BySteps<Millis>> {
    let mut worlds = vec![expected.to_vec()];
    let is_known = |(_, step): (StepIndex, &_)| durations.measured(step).is_some();
    if graph.steps().all(is_known) {
        return worlds;
    }
    for guess in 0..GUESSES {
        let mut world = expected.to_vec();
        for (index, step) in graph.steps().filter(|step| !is_known(*step)) {
            let is_source = graph.dependencies(index).next().is_none() && !step.is_run();
            let magnitudes: &[Millis] = match (step.is_run(), is_source) {
                (true, _) => &[125, 500, 2_000, 8_000],
                // An image may be there or has to be pulled.
                (false, true) => &[1, 50, 2_000],
                (false, false) => &[20, 50, 200],
            };
            let number = scatter(guess.wrapping_mul(1 << 32) ^ graph.rank(index) as u64);
            #[allow(clippy::cast_possible_truncation)] // Any of them will do.
            let number = number as usize;
            world[index.index()] = magnitudes[number % magnitudes.len()];
        }
        worlds.push(world);
    }
    worlds
}

/// A number that tells nothing of the one that it is made of (the finalizer of `SplitMix64`).
fn scatter(number: u64) -> u64 {
    let mut number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

impl Situation {
    /// Which steps run, and are not cached.
    fn runs(self, graph: &BuildGraph, users: &[StepIndex]) -> BySteps<bool> {
        let mut runs = vec![false; graph.steps().count()];
        let stage_of =
            |user: Option<&StepIndex>| user.map(|user| (*user, graph.step(*user).stage.as_deref()));
        let of_stage = |user: Option<&StepIndex>| -> Vec<StepIndex> {
            let Some((user, stage)) = stage_of(user) else { return Vec::new() };
            let in_stage = |index: &StepIndex| {
                *index == user || stage.is_some() && graph.step(*index).stage.as_deref() == stage
            };
            graph.steps().map(|(index, _)| index).filter(in_stage).collect()
        };
        let seeds = match self {
            Self::Cold => graph.steps().map(|(step, _)| step).collect(),
            Self::Cached => Vec::new(),
            Self::FirstStage => of_stage(users.first()),
            Self::LastStage => of_stage(users.last()),
            Self::After => {
                let is_user: BTreeSet<_> = users.iter().collect();
                let next = users.iter().flat_map(|user| graph.dependents(*user));
                next.filter(|next| !is_user.contains(next)).collect()
            }
        };
        for seed in seeds {
            runs[seed.index()] = true;
        }
        for (step, _) in graph.steps() {
            if graph.dependencies(step).any(|needed| runs[needed.index()]) {
                runs[step.index()] = true;
            }
        }
        runs
    }
}
