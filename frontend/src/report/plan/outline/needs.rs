//! Who needs whom, through whatever is not drawn.

use super::chain::Chain;
use crate::graph::{BuildGraph, StepIndex};

/// For each step, the drawn chains that have to end before it ends: a set as the bits of a number.
#[derive(Debug)]
pub(super) struct Needs {
    of_step: Vec<u64>,
    /// The same for the end of each drawn chain.
    of_end: Vec<u64>,
}

impl Needs {
    /// Linear in the steps and their dependencies. `shown` are at most 64 places in `chains`.
    pub(super) fn of(graph: &BuildGraph, chains: &[Chain], shown: &[usize]) -> Self {
        let mut of_step = vec![0; graph.steps().count()];
        let mut end_of = vec![0; of_step.len()];
        let ends: Vec<_> = shown.iter().map(|place| chains[*place].steps.last()).collect();
        for (card, end) in ends.iter().enumerate() {
            if let Some(end) = end {
                end_of[end.index()] = 1_u64 << card;
            }
        }
        for (step, _) in graph.steps() {
            let needed =
                graph.dependencies(step).map(|needed| of_step[needed.index()] | end_of[needed.index()]);
            of_step[step.index()] = needed.fold(0, |all, one| all | one);
        }
        let of_end = ends.iter().map(|end| end.map_or(0, |end| of_step[end.index()])).collect();
        Self { of_step, of_end }
    }

    /// The drawn chains that `step` needs and the one `before` it in its chain does not, without those that follow from
    /// others.
    pub(super) fn between(
        &self,
        before: Option<StepIndex>,
        step: Option<StepIndex>,
    ) -> impl Iterator<Item = usize> {
        let of = |step: Option<StepIndex>| step.map_or(0, |step| self.of_step[step.index()]);
        let new = of(step) & !of(before);
        let cards = (0..self.of_end.len()).filter(move |card| new >> card & 1 == 1);
        let implied = cards.clone().fold(0, |all, card| all | self.of_end[card]);
        cards.filter(move |card| implied >> card & 1 == 0)
    }
}
