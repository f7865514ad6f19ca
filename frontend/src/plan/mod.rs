//! What to change so that no hazard is left: a pure function of the graph, its hazards and the policy.

mod choose;
mod comment;
mod cost;
mod durations;
mod guard;
mod lock;
mod namespace;
mod order;
mod policy;
mod prime;
mod scope;
mod settings;
mod simulate;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

pub use comment::{Comment, CommentError, settle};
pub use durations::{Durations, DurationsError};
pub use policy::{Policy, UnknownPolicy};
pub use scope::{Scope, UnknownScope};
pub use settings::{Medium, Settings};

use crate::graph::{BuildGraph, CacheKey, CacheUse, MountRef, StepIndex};
use crate::hazard::{self, Checks, Finding};

/// What was done about a hazard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Strategy {
    /// Every user of the cache takes its lock, all in the same order.
    Lock,
    /// The users run one after the other.
    Order,
    /// A step of ours makes the mountpoints before anybody mounts something there.
    Prime,
    /// The users get caches of their own.
    Namespace,
    /// Nothing: the tool is known to bear it.
    None,
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lock => "lock",
            Self::Order => "order",
            Self::Prime => "prime",
            Self::Namespace => "namespace",
            Self::None => "none",
        })
    }
}

/// What changes in one step.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StepEdit {
    /// New keys and sharing modes, by the mount's place. A key changes in its id alone.
    pub caches: BTreeMap<usize, CacheUse>,
    /// The order in which the mounts are taken: the i-th place takes the mount that was at `order[i]`. Places in
    /// [`StepEdit::caches`] are those before.
    pub order: Option<Vec<usize>>,
    /// The steps that have to end before this one starts, by the mount because of which. None for the first of a chain,
    /// which is gated all the same: so a step's cache key does not depend on its place in the chain.
    pub after: BTreeMap<usize, Vec<StepIndex>>,
}

/// One step of ours that mounts caches before anybody else does: their directories, and the mountpoints in them, are
/// there when the others come.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Primer {
    /// The caches to mount, by every mount of a step that waits. What one of them starts from is made without caches, so it
    /// waits for nothing itself. Whatever else the step mounts inside is a mountpoint to make: a cache, a tmpfs, a secret or
    /// an ssh socket.
    pub mounts: Vec<MountRef>,
    /// The steps that have to wait for it.
    pub before: Vec<StepIndex>,
}

/// A cache that is locked although no rule finds anything: other builds may use it at the same time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guarded {
    /// The cache as it was written.
    pub cache: CacheKey,
    /// Its mounts, in file order.
    pub mounts: Vec<MountRef>,
}

/// A change as scripts read it: what is done to a step because of a cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The step.
    pub step: StepIndex,
    /// The cache as it was written.
    pub cache: CacheKey,
    /// What is done.
    pub strategy: Strategy,
    /// The steps that it comes after because of that.
    pub after: Vec<StepIndex>,
}

/// A hazard and what was done about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mended {
    /// The hazard.
    pub finding: Finding,
    /// What was done.
    pub strategy: Strategy,
}

/// The changes to a build.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// What changes, by step.
    pub edits: BTreeMap<StepIndex, StepEdit>,
    /// The step that prepares caches, where one is needed.
    pub primer: Option<Primer>,
    /// Every hazard, in file order, and what was done about it.
    pub mended: Vec<Mended>,
    /// What is locked against other builds alone, in the order of the keys.
    pub guarded: Vec<Guarded>,
}

impl Plan {
    /// Decides what to change. Where [`Settings::is_off`], nothing, and no hazard is named.
    #[must_use]
    pub fn of(graph: &BuildGraph, settings: &Settings) -> Self {
        Self::except(graph, settings, &Checks::default())
    }

    /// As [`Plan::of`], but leaves alone what the file skips.
    #[must_use]
    pub fn except(graph: &BuildGraph, settings: &Settings, checks: &Checks) -> Self {
        let mut plan = Self::default();
        if settings.is_off() {
            return plan;
        }
        plan.mended = choose::choose(graph, hazard::find_except(graph, checks), settings);
        let mut pending = plan.mended.clone();
        // What caches of their own do not separate, and what they leave in conflict, is found again.
        for _ in 0..ROUNDS {
            let before = (plan.edits.clone(), plan.primer.clone());
            let current = plan.apply(graph);
            namespace::separate(&current, &pending, &mut plan);
            order::chain(&current, &pending, settings, &mut plan);
            prime::prime(&pending, &mut plan);
            let mut locked = lock::wanted(&pending);
            locked.extend(guard::against_others(graph, &current, &locked, settings, &mut plan));
            lock::lock(&current, &locked, &mut plan);
            if (&plan.edits, &plan.primer) == (&before.0, &before.1) {
                break;
            }
            let left = hazard::find_except(&plan.apply(graph), checks);
            pending = choose::choose_again(graph, left, settings);
        }
        prime::keep_what_is_shared(graph, &mut plan);
        lock::put_in_order(graph, &pending, &mut plan);
        plan
    }

    /// The hazards that the file does not skip, and nothing done about any.
    #[must_use]
    pub fn unmended(graph: &BuildGraph, checks: &Checks) -> Self {
        let findings = hazard::find_except(graph, checks).into_iter();
        let mended = findings.map(|finding| Mended { finding, strategy: Strategy::None }).collect();
        Self { mended, ..Self::default() }
    }

    /// Whether it changes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.edits.is_empty() && self.primer.is_none()
    }

    /// The changes one by one, in file order.
    #[must_use]
    pub fn changes(&self, graph: &BuildGraph) -> Vec<Change> {
        let mut changes = Vec::new();
        for (step, edit) in &self.edits {
            for (mount, _, cache) in graph.step(*step).caches() {
                let at = MountRef { step: *step, mount };
                let mut push = |strategy, after| {
                    changes.push((at, Change { step: *step, cache: cache.key.clone(), strategy, after }));
                };
                let new = edit.caches.get(&mount).unwrap_or(cache);
                if new.key != cache.key {
                    push(Strategy::Namespace, Vec::new());
                }
                let is_moved = edit.order.as_ref().is_some_and(|order| order.get(mount) != Some(&mount));
                if new.sharing != cache.sharing || is_moved {
                    push(Strategy::Lock, Vec::new());
                }
                if let Some(after) = edit.after.get(&mount).filter(|after| !after.is_empty()) {
                    push(Strategy::Order, after.clone());
                }
            }
        }
        for at in self.primer.iter().flat_map(|primer| &primer.mounts) {
            let Some(cache) = &graph.mount(*at).cache else { continue };
            let (cache, strategy) = (cache.key.clone(), Strategy::Prime);
            changes.push((*at, Change { step: at.step, cache, strategy, after: Vec::new() }));
        }
        changes.sort_by(|(a, _), (b, _)| graph.file_order(*a).cmp(&graph.file_order(*b)));
        changes.into_iter().map(|(_, change)| change).collect()
    }

    /// The build as it is after the changes.
    #[must_use]
    pub fn apply(&self, graph: &BuildGraph) -> BuildGraph {
        let after = self
            .edits
            .iter()
            .flat_map(|(step, edit)| edit.after.values().flatten().map(|before| (*before, *step)));
        let graph = graph.with_dependencies(after);
        let primed: BTreeSet<_> = self.primer.iter().flat_map(|primer| &primer.mounts).collect();
        graph.map_steps(|index, step| {
            let mut step = step.clone();
            for (place, mount) in step.mounts.iter_mut().enumerate() {
                mount.primed |= primed.contains(&MountRef { step: index, mount: place });
            }
            let Some(edit) = self.edits.get(&index) else { return step };
            for (mount, cache) in &edit.caches {
                step.mounts[*mount].cache = Some(cache.clone());
            }
            if let Some(order) = &edit.order {
                step.mounts = order.iter().map(|from| step.mounts[*from].clone()).collect();
            }
            step
        })
    }

    /// The cache behind a mount as the plan has it so far.
    fn cache<'a>(&'a self, graph: &'a BuildGraph, at: MountRef) -> Option<&'a CacheUse> {
        let planned = self.edits.get(&at.step).and_then(|edit| edit.caches.get(&at.mount));
        planned.or(graph.mount(at).cache.as_ref())
    }

    fn set_cache(&mut self, at: MountRef, cache: CacheUse) {
        self.edits.entry(at.step).or_default().caches.insert(at.mount, cache);
    }
}

/// How often a plan may look at what it has left. Names are given at most twice, by stage and by identity, and then
/// what is left is locked.
const ROUNDS: usize = 4;
