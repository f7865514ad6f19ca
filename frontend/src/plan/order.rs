//! One after the other: a step starts when the cache's user before it has ended.
//!
//! The users of each cache are put into the order that the build has them in anyway, the same for all caches, so the new
//! dependencies cannot run in a circle; and into the same order in every build, since that order is stable.

use std::collections::BTreeSet;

use super::{Mended, Plan, Strategy};
use crate::graph::{BuildGraph, MountRef};

/// Chains the users of every cache whose hazard is to be mended this way.
pub(super) fn chain(graph: &BuildGraph, pending: &[Mended], plan: &mut Plan) {
    let caches = graph.caches();
    let ordered = pending.iter().filter(|mended| mended.strategy == Strategy::Order);
    let keys: BTreeSet<_> = ordered.flat_map(|mended| mended.finding.caches.clone()).collect();
    for key in keys {
        let mounts = caches.get(&key).map(Vec::as_slice).unwrap_or_default();
        let mut previous: Option<MountRef> = None;
        for at in mounts {
            let link = previous.filter(|previous: &MountRef| graph.are_concurrent(previous.step, at.step));
            let after = plan.edits.entry(at.step).or_default().after.entry(at.mount).or_default();
            after.extend(link.map(|previous| previous.step));
            previous = Some(*at);
        }
    }
}
