//! A build on paper: when each step starts, if each takes as long as it is said to.
//!
//! A step takes the caches of which it has to be the only user one after the other, all steps in the same order, and
//! keeps them until it ends. So no two wait for each other, and of the users of one cache whoever takes it first also
//! starts and ends first: the order in which the steps start is one order for all caches, and one in which the build's own
//! dependencies are kept. O((V + E) log V).

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

use crate::graph::{BuildGraph, StepIndex};

/// Milliseconds.
pub(super) type Millis = u64;

/// A value for each step, by [`StepIndex::index`].
pub(super) type BySteps<T> = Vec<T>;

/// A build, and how its steps take turns.
#[derive(Debug, Clone, Copy)]
pub(super) struct Simulation<'s> {
    pub graph: &'s BuildGraph,
    /// How long each step takes.
    pub costs: &'s [Millis],
    /// The caches that each step has to itself, by number, from small to large, each once.
    pub turns: &'s [Vec<usize>],
    /// Who goes first where several wait: the one with more.
    pub priorities: &'s [Millis],
    /// How often a step that waits for a cache looks whether it is free. Of several that wait, one looks sooner.
    pub interval: Millis,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Schedule {
    /// When the last step ends.
    pub wall: Millis,
    /// The steps in the order in which they start.
    pub starts: Vec<StepIndex>,
}

/// Who waits for a cache, the most urgent one last: priority, place in the build, step.
type Waiting = BinaryHeap<(Millis, Reverse<usize>, StepIndex)>;

struct State<'s> {
    simulation: Simulation<'s>,
    missing: BySteps<usize>,
    /// How many of its caches each step has.
    taken: BySteps<usize>,
    /// When each step asked for its next cache.
    asked: BySteps<Millis>,
    /// How long its caches were free before each step looked.
    late: BySteps<Millis>,
    is_held: Vec<bool>,
    waiting: Vec<Waiting>,
    /// Caches that somebody may be able to take now.
    open: BTreeSet<usize>,
    /// When and in which order the running steps end.
    running: BinaryHeap<Reverse<(Millis, usize, StepIndex)>>,
    starts: Vec<StepIndex>,
}

impl Simulation<'_> {
    pub(super) fn run(self) -> Schedule {
        let steps = self.graph.steps().count();
        let caches = self.turns.iter().flatten().max().map_or(0, |most| most + 1);
        let mut state = State {
            simulation: self,
            missing: vec![0; steps],
            taken: vec![0; steps],
            asked: vec![0; steps],
            late: vec![0; steps],
            is_held: vec![false; caches],
            waiting: vec![Waiting::new(); caches],
            open: BTreeSet::new(),
            running: BinaryHeap::new(),
            starts: Vec::with_capacity(steps),
        };
        let mut ready = Vec::new();
        for (step, _) in self.graph.steps() {
            state.missing[step.index()] = self.graph.dependencies(step).count();
            if state.missing[step.index()] == 0 {
                ready.push(step);
            }
        }
        let mut now = 0;
        for step in ready {
            state.proceed(step, now);
        }
        state.grant(now);
        while let Some(Reverse((at, ..))) = state.running.peek() {
            now = *at;
            // All that ends now ends before anybody takes what has become free.
            while let Some(Reverse((at, _, step))) = state.running.peek().copied()
                && at == now
            {
                state.running.pop();
                state.end(step, now);
            }
            state.grant(now);
        }
        Schedule { wall: now, starts: state.starts }
    }
}

impl State<'_> {
    /// A step that waits for nobody but whoever has its next cache.
    fn proceed(&mut self, step: StepIndex, now: Millis) {
        let Simulation { graph, costs, turns, priorities, .. } = self.simulation;
        let at = step.index();
        if let Some(cache) = turns[at].get(self.taken[at]) {
            self.asked[at] = now;
            self.waiting[*cache].push((priorities[at], Reverse(graph.rank(step)), step));
            self.open.insert(*cache);
            return;
        }
        self.starts.push(step);
        self.running.push(Reverse((now + costs[at] + self.late[at], graph.rank(step), step)));
    }

    fn end(&mut self, step: StepIndex, now: Millis) {
        for cache in &self.simulation.turns[step.index()] {
            self.is_held[*cache] = false;
            self.open.insert(*cache);
        }
        for next in self.simulation.graph.dependents(step) {
            self.missing[next.index()] -= 1;
            if self.missing[next.index()] == 0 {
                self.proceed(next, now);
            }
        }
    }

    /// Gives each free cache to the most urgent of those that wait for it.
    fn grant(&mut self, now: Millis) {
        while let Some(cache) = self.open.pop_first() {
            if self.is_held[cache] {
                continue;
            }
            let who_wait = self.waiting[cache].len() as Millis;
            let Some((.., step)) = self.waiting[cache].pop() else { continue };
            self.is_held[cache] = true;
            if self.asked[step.index()] < now {
                // The first of so many who each look at a moment of their own.
                self.late[step.index()] += self.simulation.interval / (who_wait + 1);
            }
            self.taken[step.index()] += 1;
            self.proceed(step, now);
        }
    }
}

/// When the last step ends, if every step waits for its dependencies and for those `after` which it is to come, for a
/// `delay` each time. `order` keeps both. Linear.
pub(super) fn wall(
    graph: &BuildGraph,
    costs: &[Millis],
    order: &[StepIndex],
    after: &BySteps<Vec<StepIndex>>,
    delay: Millis,
) -> Millis {
    let mut ends = vec![0; costs.len()];
    for step in order {
        let needed = graph.dependencies(*step).map(|needed| ends[needed.index()]);
        let gates = after[step.index()].iter().map(|before| ends[before.index()] + delay);
        ends[step.index()] = needed.chain(gates).max().unwrap_or(0) + costs[step.index()];
    }
    ends.into_iter().max().unwrap_or(0)
}

/// How long it takes at least from each step's start to the end of the build.
pub(super) fn remaining(graph: &BuildGraph, costs: &[Millis]) -> BySteps<Millis> {
    let mut remaining = vec![0; costs.len()];
    for (step, _) in graph.steps().rev() {
        let next = graph.dependents(step).map(|next| remaining[next.index()]);
        remaining[step.index()] = next.max().unwrap_or(0) + costs[step.index()];
    }
    remaining
}
