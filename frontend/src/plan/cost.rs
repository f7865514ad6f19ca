//! What taking turns costs, by lock and by order (docs/strategies.md).
//!
//! Both make the users of a cache run one at a time; which of them is quicker depends on what else the build does. A lock
//! is polled for, and whoever looks first goes first; an order is fixed beforehand, costs next to nothing, and waits for
//! a step that is late even where another one could go. So the build is simulated with each, in the situations in which people
//! build, and where durations are not known, with several that are made up.

use std::collections::{BTreeMap, BTreeSet};

use super::order::{Chains, costs, turns as turns_of};
use super::simulate::{BySteps, Millis, Simulation, remaining};
use super::{Durations, Strategy};
use crate::graph::{BuildGraph, CacheKey, Step, StepIndex};

/// How often the engine looks, for a step that waits, whether a lock is free (`solver/llbsolver/mounts/mount.go`,
/// `getRefCacheDirNoCache`).
const INTERVAL: Millis = 100;

/// What a link of an order costs where nothing has to run: a directory to be looked up (docs/strategies.md tells the
/// measurement).
const LINK: Millis = 1;

/// What every build takes, whatever is in it, in milliseconds.
const BUILD: f64 = 250.0;

/// How much quicker an order has to be. A lock is worth something: it also holds between two builds of one file.
const MARGIN: f64 = 0.08;

/// How much longer than the best a build may take because of a choice, where it can be helped.
const ALLOWED: f64 = 0.10;

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
    let is_better = order + MARGIN < lock || order <= ALLOWED && ALLOWED < lock;
    if is_better { Strategy::Order } else { Strategy::Lock }
}

/// How much longer a build takes at most, whatever the situation and the durations, with a lock and with an order than with the
/// better of the two: 0.1 is a tenth.
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
        for world in &worlds {
            let cost_of = |(cost, runs): (&Millis, &bool)| if *runs { *cost } else { 0 };
            let costs: Vec<_> = world.iter().zip(&runs).map(cost_of).collect();
            let lock = with_locks(graph, &costs, &turns, &runs);
            let order = seconds(chains.wall(graph, &costs, LINK));
            let best = lock.min(order);
            most = [most[0].max(lock / best - 1.0), most[1].max(order / best - 1.0)];
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
        let simulation = Simulation { graph, costs, turns: &turns, priorities, interval: INTERVAL };
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

/// What the steps may take: what was measured or is usual; and where something was not measured, all of it being quicker or
/// slower than that, or each step in its own way. They are made up in the same way each time.
fn worlds(graph: &BuildGraph, expected: &[Millis], durations: &Durations) -> Vec<BySteps<Millis>> {
    let numbers = numbers(graph);
    let unknown = graph.steps().filter(|(_, step)| durations.measured(step).is_none());
    let unknown: Vec<_> = unknown.map(|(index, step)| (index, step, numbers[index.index()])).collect();
    let mut worlds = vec![expected.to_vec()];
    if unknown.is_empty() {
        return worlds;
    }
    let mut imagine = |of: &dyn Fn(StepIndex, &Step, u64) -> Millis| {
        let mut world = expected.to_vec();
        for (index, step, number) in &unknown {
            world[index.index()] = of(*index, step, *number);
        }
        worlds.push(world);
    };
    imagine(&|index, _, _| expected[index.index()].div_ceil(4));
    imagine(&|index, _, _| expected[index.index()].saturating_mul(16));
    for guess in 0..GUESSES {
        imagine(&|_, step, number| {
            let magnitudes: &[Millis] = match (step.is_run(), is_fetched(step)) {
                (true, _) => &[250, 1_000, 4_000, 16_000],
                // An image is there or has to be pulled.
                (false, true) => &[1, 50, 2_000],
                (false, false) => &[50],
            };
            let number = scatter(guess ^ number);
            #[allow(clippy::cast_possible_truncation)] // Any of them will do.
            let number = number as usize;
            magnitudes[number % magnitudes.len()]
        });
    }
    worlds
}

/// A number for each step that is the same in every build, and in a text and a definition of it: of its stage, and of its place
/// there. What is fetched has none of its own: stages that share it lend it their name in turn.
fn numbers(graph: &BuildGraph) -> BySteps<u64> {
    let mut numbers = vec![0; graph.steps().count()];
    let mut places = BTreeMap::<&str, u64>::new();
    for (index, step) in graph.steps().filter(|(_, step)| !is_fetched(step)) {
        let stage = step.stage.as_deref().unwrap_or_default();
        let place = places.entry(stage).or_default();
        *place += 1;
        let name = stage.bytes().fold(0, |name, byte| scatter(name ^ u64::from(byte)));
        numbers[index.index()] = scatter(name ^ (*place << 32));
    }
    numbers
}

/// Whether a step only brings what steps begin with: an image, the context. A text has no such steps.
fn is_fetched(step: &Step) -> bool {
    step.title.starts_with("FROM ") || step.stage.is_none() && !step.is_run()
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
                let is_same = stage.is_some() && graph.step(*index).stage.as_deref() == stage;
                // What is fetched does not change, and may be other stages' too.
                *index == user || is_same && !is_fetched(graph.step(*index))
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

#[cfg(test)]
mod tests {
    use std::fmt::Write;
    use std::time::Duration;

    use super::*;
    use crate::graph::{CacheUse, GraphBuilder, Mount, Sharing};

    /// What a stage does before it uses the cache, with it, and after, in seconds.
    type Stage = [f64; 3];

    fn key() -> CacheKey {
        CacheKey::new("/cache")
    }

    fn step(stage: usize, place: usize) -> Step {
        let cache = CacheUse { key: key(), sharing: Sharing::Shared };
        let mount = Mount { cache: Some(cache), ..Mount::default() };
        Step {
            id: format!("{stage}/{place}"),
            stage: Some(format!("s{stage}")),
            title: format!("RUN {place}"),
            mounts: if place == 1 { vec![mount] } else { Vec::new() },
            ..Step::default()
        }
    }

    /// A build of these stages, and what is known of all its steps. A step of no duration is not there.
    fn build(stages: &[Stage]) -> (BuildGraph, Durations) {
        let (mut builder, mut durations) = (GraphBuilder::default(), Durations::default());
        let named = |name: &str| Step { id: name.into(), title: name.into(), ..Step::default() };
        let (image, copy) = (named("FROM"), named("COPY"));
        durations.record([(&image, Duration::from_millis(1)), (&copy, Duration::from_millis(1))]);
        let image = builder.add(image);
        let mut lasts = Vec::new();
        for (stage, seconds) in stages.iter().enumerate() {
            let mut last = image;
            for (place, seconds) in seconds.iter().enumerate().filter(|(_, seconds)| **seconds > 0.0) {
                let step = step(stage, place);
                durations.record([(&step, Duration::from_secs_f64(*seconds))]);
                let next = builder.add(step);
                builder.depend(last, next);
                last = next;
            }
            lasts.push(last);
        }
        let copy = builder.add(copy);
        lasts.into_iter().for_each(|last| builder.depend(last, copy));
        (builder.finish().unwrap(), durations)
    }

    /// Builds by what tells them apart.
    fn cases() -> Vec<(&'static str, Vec<Stage>)> {
        vec![
            ("two short users", vec![[0.0, 0.25, 0.0]; 2]),
            ("eight short users", vec![[0.0, 0.25, 0.0]; 8]),
            ("two long users", vec![[0.0, 64.0, 0.0]; 2]),
            ("eight long users", vec![[0.0, 64.0, 0.0]; 8]),
            ("a long way behind the second user", vec![[0.0, 4.0, 0.0], [0.0, 4.0, 32.0]]),
            ("a long way to the first user", vec![[16.0, 4.0, 0.0], [0.0, 4.0, 0.0]]),
            ("a way to each of three users", vec![[1.0, 4.0, 0.0]; 3]),
            ("a way behind each of three users", vec![[0.0, 1.0, 1.0]; 3]),
        ]
    }

    #[test]
    fn the_cheaper_way_is_taken() {
        let mut table = String::new();
        for (name, stages) in cases() {
            let (graph, durations) = build(&stages);
            let caches = BTreeSet::from([key()]);
            let _ = writeln!(table, "{name}");
            for (what, durations) in [("measured", durations), ("not measured", Durations::default())] {
                let [lock, order] =
                    excess(&graph, &caches, &durations).map(|excess| (excess * 100.0).round());
                let turns = turns(&graph, &caches, &durations);
                let _ = writeln!(table, "  {what}: lock +{lock} %, order +{order} %: {turns}");
            }
        }
        insta::assert_snapshot!(table, @r"
        two short users
          measured: lock +7 %, order +0 %: lock
          not measured: lock +7 %, order +0 %: lock
        eight short users
          measured: lock +7 %, order +3 %: lock
          not measured: lock +7 %, order +3 %: lock
        two long users
          measured: lock +0 %, order +0 %: lock
          not measured: lock +7 %, order +0 %: lock
        eight long users
          measured: lock +0 %, order +3 %: lock
          not measured: lock +7 %, order +3 %: lock
        a long way behind the second user
          measured: lock +6 %, order +0 %: lock
          not measured: lock +24 %, order +0 %: order
        a long way to the first user
          measured: lock +0 %, order +0 %: lock
          not measured: lock +1 %, order +0 %: lock
        a way to each of three users
          measured: lock +1 %, order +1 %: lock
          not measured: lock +6 %, order +36 %: lock
        a way behind each of three users
          measured: lock +2 %, order +1 %: lock
          not measured: lock +20 %, order +1 %: order
        ");
    }

    #[test]
    fn each_situation_runs_what_it_says() {
        let (graph, _) = build(&[[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]]);
        let users: Vec<_> = graph
            .steps()
            .filter(|(_, step)| step.caches().next().is_some())
            .map(|(index, _)| index)
            .collect();
        let table = Situation::ALL.map(|situation| {
            let runs = situation.runs(&graph, &users);
            let ids = graph.steps().filter(|(index, _)| runs[index.index()]).map(|(_, step)| &*step.id);
            format!("{situation:?}: {}", ids.collect::<Vec<_>>().join(" "))
        });
        insta::assert_snapshot!(table.join("\n"), @r"
        Cold: FROM 0/0 0/1 0/2 1/0 1/1 1/2 COPY
        Cached: 
        FirstStage: 0/0 0/1 0/2 COPY
        LastStage: 1/0 1/1 1/2 COPY
        After: 0/2 1/2 COPY
        ");
    }

    #[test]
    fn a_build_of_thousands_of_steps_is_decided_at_once() {
        let (graph, _) = build(&vec![[0.0, 1.0, 0.0]; MOST - 2]);
        let began = std::time::Instant::now();
        turns(&graph, &BTreeSet::from([key()]), &Durations::default());
        assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
        let (graph, _) = build(&vec![[0.0, 0.25, 0.0]; MOST]);
        assert_eq!(turns(&graph, &BTreeSet::from([key()]), &Durations::default()), Strategy::Lock);
    }
}
