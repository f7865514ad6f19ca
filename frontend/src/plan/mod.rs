//! What to change so that no hazard is left: a pure function of the graph, its hazards and the policy.

mod lock;
mod namespace;
mod order;
mod policy;

use std::collections::BTreeMap;
use std::fmt;

pub use policy::{Policy, UnknownPolicy};

use crate::graph::{BuildGraph, CacheKey, CacheUse, MountRef, StepIndex};
use crate::hazard::{self, Checks, Finding, Severity};

/// What was done about a hazard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Strategy {
    /// Every user of the cache takes its lock, all in the same order.
    Lock,
    /// The users run one after the other.
    Order,
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
    /// The caches to mount. Whatever else the step mounts inside one of them is a mountpoint to make.
    pub mounts: Vec<MountRef>,
    /// The steps that have to wait for it.
    pub before: Vec<StepIndex>,
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
}

impl Plan {
    /// Decides what to change. With [`Policy::Off`], nothing, and no hazard is named.
    #[must_use]
    pub fn of(graph: &BuildGraph, policy: Policy) -> Self {
        Self::except(graph, policy, &Checks::default())
    }

    /// As [`Plan::of`], but leaves alone what the file skips.
    #[must_use]
    pub fn except(graph: &BuildGraph, policy: Policy, checks: &Checks) -> Self {
        let mut plan = Self::default();
        if policy == Policy::Off {
            return plan;
        }
        for finding in hazard::find_except(graph, checks) {
            let strategy = choose(policy, &finding);
            plan.mended.push(Mended { finding, strategy });
        }
        let mut pending = plan.mended.clone();
        // What caches of their own do not separate, and what they leave in conflict, is found again.
        for _ in 0..ROUNDS {
            let before = plan.edits.clone();
            let current = plan.apply(graph);
            namespace::separate(&current, &pending, &mut plan);
            order::chain(&current, &pending, &mut plan);
            lock::lock(&current, &pending, &mut plan);
            if plan.edits == before {
                break;
            }
            let left = hazard::find_except(&plan.apply(graph), checks).into_iter();
            pending =
                left.map(|finding| Mended { strategy: choose_again(policy, &finding), finding }).collect();
        }
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
                match edit.caches.get(&mount) {
                    Some(new) if new.key != cache.key => push(Strategy::Namespace, Vec::new()),
                    Some(_) => push(Strategy::Lock, Vec::new()),
                    // Locked before, and now in another order.
                    None if edit.order.as_ref().is_some_and(|order| order.get(mount) != Some(&mount)) => {
                        push(Strategy::Lock, Vec::new());
                    }
                    None => {}
                }
                if let Some(after) = edit.after.get(&mount).filter(|after| !after.is_empty()) {
                    push(Strategy::Order, after.clone());
                }
            }
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
        graph.map_steps(|index, step| {
            let mut step = step.clone();
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

/// The strategy for what a first one left.
fn choose_again(policy: Policy, finding: &Finding) -> Strategy {
    match choose(policy, finding) {
        Strategy::Namespace if !namespace::is_the_only_way(finding) => Strategy::Lock,
        Strategy::Order => Strategy::Lock,
        strategy => strategy,
    }
}

/// The strategy for one hazard.
fn choose(policy: Policy, finding: &Finding) -> Strategy {
    match (policy, finding.rule.name) {
        (Policy::Off, _) => Strategy::None,
        (Policy::Auto, _) if finding.severity == Severity::Note => Strategy::None,
        _ if namespace::is_the_only_way(finding) => Strategy::Namespace,
        (Policy::Namespace, _) => Strategy::Namespace,
        // A build beside this one still meets the other mode.
        (Policy::Order, "MixedCacheSharing") => Strategy::Lock,
        (Policy::Order, _) => Strategy::Order,
        (Policy::Auto | Policy::Lock, _) => Strategy::Lock,
    }
}
