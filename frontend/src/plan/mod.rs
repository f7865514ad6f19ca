//! What to change so that no hazard is left: a pure function of the graph, its hazards and the policy.

mod lock;
mod namespace;
mod policy;

use std::collections::BTreeMap;
use std::fmt;

pub use policy::{Policy, UnknownPolicy};

use crate::graph::{BuildGraph, CacheUse, MountRef, StepIndex};
use crate::hazard::{self, Finding, Severity};

/// What was done about a hazard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Strategy {
    /// Every user of the cache takes its lock, all in the same order.
    Lock,
    /// The users get caches of their own.
    Namespace,
    /// Nothing: the tool is known to bear it.
    None,
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lock => "lock",
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
    /// Every hazard, in file order, and what was done about it.
    pub mended: Vec<Mended>,
}

impl Plan {
    /// Decides what to change. With [`Policy::Off`], nothing, and no hazard is named.
    #[must_use]
    pub fn of(graph: &BuildGraph, policy: Policy) -> Self {
        let mut plan = Self::default();
        if policy == Policy::Off {
            return plan;
        }
        for finding in hazard::find(graph) {
            let strategy = choose(policy, &finding);
            plan.mended.push(Mended { finding, strategy });
        }
        namespace::separate(graph, &mut plan);
        // What caches of their own do not separate, and what they leave in conflict, takes turns.
        let left = hazard::find(&plan.apply(graph));
        let left: Vec<_> =
            left.into_iter().filter(|finding| choose(policy, finding) != Strategy::None).collect();
        lock::take_turns(graph, &left, &mut plan);
        plan
    }

    /// The build as it is after the changes.
    #[must_use]
    pub fn apply(&self, graph: &BuildGraph) -> BuildGraph {
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

/// The strategy for one hazard.
fn choose(policy: Policy, finding: &Finding) -> Strategy {
    match policy {
        Policy::Off => Strategy::None,
        Policy::Auto if finding.severity == Severity::Note => Strategy::None,
        Policy::Auto | Policy::Lock => Strategy::Lock,
        Policy::Namespace => Strategy::Namespace,
    }
}
