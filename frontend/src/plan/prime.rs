//! Mountpoints that are there before anybody needs them.
//!
//! Where steps that do not need each other mount something inside one shared cache, the runtime makes the mountpoint in the
//! cache, and some runtimes fail where two do so at once. One step of ours before all of them makes it once; then they run
//! at the same time as before.

use std::collections::HashSet;

use super::{Mended, Plan, Primer, Strategy};
use crate::graph::{BuildGraph, MountKind, Sharing, StepIndex};
use crate::hazard::{self, Finding};

/// Has a primer make what the hazards need that are to be mended this way.
pub(super) fn prime(pending: &[Mended], plan: &mut Plan) {
    for mended in pending.iter().filter(|mended| mended.strategy == Strategy::Prime) {
        let primer = plan.primer.get_or_insert_default();
        primer.mounts.extend(mended.finding.mounts());
        primer.tidy();
    }
}

/// Takes from the primer what is locked after all, and so needs none.
pub(super) fn keep_what_is_shared(graph: &BuildGraph, plan: &mut Plan) {
    let Some(mut primer) = plan.primer.take() else { return };
    primer.mounts.retain(|at| plan.cache(graph, *at).is_some_and(|cache| cache.sharing == Sharing::Shared));
    primer.tidy();
    plan.primer = Some(primer).filter(|primer| !primer.mounts.is_empty());
}

impl Primer {
    /// The mounts once each, in the order of the graph, and the steps that have them.
    fn tidy(&mut self) {
        self.mounts.sort_unstable();
        self.mounts.dedup();
        let mut before: Vec<StepIndex> = self.mounts.iter().map(|at| at.step).collect();
        before.dedup();
        self.before = before;
    }
}

/// Whether a step of ours can make all of a hazard's mountpoints. Of a bind mount nobody knows beforehand whether it is a file or
/// a directory; and what the cache starts from may not come from a step that waits for the primer, as those with caches may.
pub(super) fn is_possible(graph: &BuildGraph, finding: &Finding) -> bool {
    finding.mounts().all(|at| {
        let input = graph.mount(at).input;
        let mut inside = hazard::mounts_inside(graph.step(at.step), at.mount);
        inside.all(|inner| inner.kind != MountKind::Bind)
            && input.is_none_or(|input| is_made_without_caches(graph, input))
    })
}

/// Whether neither the step nor any that it needs mounts a cache.
fn is_made_without_caches(graph: &BuildGraph, step: StepIndex) -> bool {
    let mut seen = HashSet::from([step]);
    let mut pending = vec![step];
    while let Some(step) = pending.pop() {
        if graph.step(step).caches().next().is_some() {
            return false;
        }
        pending.extend(graph.dependencies(step).filter(|needed| seen.insert(*needed)));
    }
    true
}
