//! Taking turns: every user of a cache locks it, and every step takes its locks in the order of the caches' keys.
//!
//! One order for all is what keeps new locks from waiting for each other in a circle. It has to hold for every step
//! that holds several locks and is connected, through the caches of such steps, with a cache that we touch; a step that
//! is not connected keeps its order, and its bytes.

use std::collections::{BTreeMap, BTreeSet};

use super::{Mended, Plan, Strategy};
use crate::graph::{BuildGraph, CacheKey, CacheUse, MountRef, Sharing, StepIndex};

/// Locks caches for every user in the build, also one that is not concurrent with any other: mixed modes fork a cache.
/// `graph` is the build as the plan has it.
pub(super) fn lock(graph: &BuildGraph, keys: &BTreeSet<CacheKey>, plan: &mut Plan) {
    for (step, mounts) in graph.steps() {
        for (mount, _, cache) in mounts.caches() {
            let at = MountRef { step, mount };
            let planned = plan.cache(graph, at).unwrap_or(cache);
            if planned.sharing != Sharing::Locked && keys.contains(&cache.key) {
                let cache = CacheUse { key: planned.key.clone(), sharing: Sharing::Locked };
                plan.set_cache(at, cache);
            }
        }
    }
}

/// The caches of the hazards that are to be mended by locks.
pub(super) fn wanted(pending: &[Mended]) -> BTreeSet<CacheKey> {
    let locked = pending.iter().filter(|mended| mended.strategy == Strategy::Lock);
    locked.flat_map(|mended| mended.finding.caches.clone()).collect()
}

/// Gives one order to the locks of all steps that are connected with a cache that the plan locks, or that `pending`
/// finds in conflicting orders.
pub(super) fn put_in_order(graph: &BuildGraph, pending: &[Mended], plan: &mut Plan) {
    let mut touched = wanted(pending);
    for (step, edit) in &plan.edits {
        for (mount, cache) in &edit.caches {
            let before = graph.mount(MountRef { step: *step, mount: *mount }).cache.as_ref();
            if before.is_some_and(|before| before.sharing != cache.sharing) {
                touched.insert(cache.key.clone());
            }
        }
    }
    let holders = holders_of_several(graph, plan);
    let mut by_cache = BTreeMap::<_, Vec<StepIndex>>::new();
    for (step, locks) in &holders {
        for (_, key) in locks {
            by_cache.entry(key.clone()).or_default().push(*step);
        }
    }
    let mut pending: Vec<_> = touched.iter().cloned().collect();
    let mut connected = touched;
    let mut steps = BTreeSet::new();
    while let Some(key) = pending.pop() {
        for step in by_cache.get(&key).into_iter().flatten() {
            if steps.insert(*step) {
                let caches = holders[step].iter().map(|(_, key)| key.clone());
                pending.extend(caches.filter(|key| connected.insert(key.clone())));
            }
        }
    }
    for step in steps {
        let order = sorted(graph.step(step).mounts.len(), &holders[&step]);
        if !order.iter().copied().eq(0..order.len()) {
            plan.edits.entry(step).or_default().order = Some(order);
        }
    }
}

/// The steps that hold locks of several caches: the mounts' places and keys.
fn holders_of_several(graph: &BuildGraph, plan: &Plan) -> BTreeMap<StepIndex, Vec<(usize, CacheKey)>> {
    let mut holders = BTreeMap::new();
    for (index, step) in graph.steps() {
        let caches = step.caches().filter_map(|(mount, ..)| {
            let cache = plan.cache(graph, MountRef { step: index, mount })?;
            (cache.sharing == Sharing::Locked).then(|| (mount, cache.key.clone()))
        });
        let locks: Vec<_> = caches.collect();
        if locks.iter().any(|(_, key)| *key != locks[0].1) {
            holders.insert(index, locks);
        }
    }
    holders
}

/// The order of all `mounts` in which the locked ones, among the places that they have, come by their caches' keys.
fn sorted(mounts: usize, locks: &[(usize, CacheKey)]) -> Vec<usize> {
    let mut by_key: Vec<_> = locks.iter().collect();
    by_key.sort_by(|(a_place, a), (b_place, b)| (a, a_place).cmp(&(b, b_place)));
    let mut order: Vec<_> = (0..mounts).collect();
    for ((place, _), (from, _)) in locks.iter().zip(by_key) {
        order[*place] = *from;
    }
    order
}
