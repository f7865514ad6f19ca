//! Which chains are drawn.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};

use super::super::Planned;
use super::chain::Chain;
use crate::graph::StepIndex;

/// A picture with no more cards than that shows all there are.
const MANY: usize = 16;
/// And no picture has more. Sets of cards are numbers of 64 bits.
const MOST_CARDS: usize = 40;

/// The places of those that are drawn, in order: what collides or changes before what has caches, and of the others the end
/// of the build and those that the most chains meet at, as far as there is room.
pub(super) fn choose(planned: &Planned<'_>, chains: &[Chain]) -> Vec<usize> {
    let graph = planned.graph;
    let chain_of: HashMap<StepIndex, usize> = chains
        .iter()
        .enumerate()
        .flat_map(|(place, chain)| chain.steps.iter().map(move |step| (*step, place)))
        .collect();
    let mut weights = vec![0_u8; chains.len()];
    for step in planned.steps() {
        weights[chain_of[&step]] = 1;
    }
    for step in planned.plan.edits.keys() {
        weights[chain_of[step]] = 2;
    }
    // Who collides with each other is drawn together.
    let mut first_hazard = vec![usize::MAX; chains.len()];
    for (number, mended) in planned.plan.mended.iter().enumerate() {
        for chain in mended.finding.mounts().map(|at| chain_of[&at.step]) {
            weights[chain] = 2;
            first_hazard[chain] = first_hazard[chain].min(number);
        }
    }
    let connections = |place: usize| {
        let steps = &chains[place].steps;
        let around = steps.iter().flat_map(|step| graph.dependencies(*step).chain(graph.dependents(*step)));
        let around: BTreeSet<_> =
            around.map(|step| chain_of[&step]).filter(|other| *other != place).collect();
        around.len()
    };
    // Where the build ends, on each platform.
    let is_end = |place: usize| {
        chains[place].steps.last().is_some_and(|last| graph.dependents(*last).next().is_none())
    };
    let mut places: Vec<_> = (0..chains.len()).collect();
    places.sort_by_cached_key(|place| {
        let many = (is_end(*place), connections(*place));
        (Reverse(weights[*place]), first_hazard[*place], Reverse(many), *place)
    });
    let cached = weights.iter().filter(|weight| **weight > 0).count();
    let ends = (0..chains.len()).filter(|place| weights[*place] == 0 && is_end(*place)).count();
    places.truncate((cached + ends).clamp(MANY, MOST_CARDS));
    places.sort_unstable();
    places
}
