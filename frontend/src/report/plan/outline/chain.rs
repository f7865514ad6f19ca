//! Steps that run one after the other.

use std::collections::HashMap;

use crate::graph::{BuildGraph, MountRef, StepIndex};

/// Steps of one stage on one platform, each of which needs the one before it. Only the last has other dependents.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Chain {
    /// The stage's place among those of the graph.
    pub(super) stage: Option<usize>,
    platform: Option<String>,
    pub(super) steps: Vec<StepIndex>,
}

impl Chain {
    pub(super) fn name(&self, graph: &BuildGraph) -> String {
        let stage = self.stage.map_or("the build", |stage| &graph.stages()[stage].name);
        // Nearly all are for Linux.
        let platform = self.platform.as_ref().map_or(String::new(), |platform| {
            format!(
                " ({})",
                platform
                    .split(' ')
                    .map(|word| word.trim_start_matches("linux/"))
                    .collect::<Vec<_>>()
                    .join(" ")
            )
        });
        format!("{stage}{platform}")
    }

    pub(super) fn base(&self, graph: &BuildGraph) -> String {
        self.stage.map_or(String::new(), |stage| format!("FROM {}", graph.stages()[stage].base))
    }
}

/// The place of a step's stage among those of the graph. Names may repeat, so the lines tell.
pub(in super::super) fn stage_of(graph: &BuildGraph, step: StepIndex) -> Option<usize> {
    let line = graph.step(step).location.as_ref().map_or(0, |location| location.line);
    let after = graph.stages().partition_point(|stage| stage.line <= line);
    if graph.stages().is_empty() { None } else { Some(after.saturating_sub(1)) }
}

/// Every step of the build, in chains; each chain after those that any of its steps needs.
pub(super) fn chains(graph: &BuildGraph) -> Vec<Chain> {
    let order = drawing_order(graph);
    let position: HashMap<_, _> = order.iter().enumerate().map(|(place, step)| (*step, place)).collect();
    let has_platforms = graph.is_multi_platform();
    let mut chains: Vec<Chain> = Vec::new();
    let mut chain_of: HashMap<StepIndex, usize> = HashMap::new();
    for step in order {
        let stage = stage_of(graph, step);
        let platform = if has_platforms { platform(graph, step) } else { None };
        let joined = graph.dependencies(step).find_map(|needed| {
            let place = *chain_of.get(&needed)?;
            let chain = &chains[place];
            let is_next = chain.steps.last() == Some(&needed)
                && graph.dependents(needed).all(|dependent| dependent == step)
                && (chain.stage, &chain.platform) == (stage, &platform);
            is_next.then_some(place)
        });
        let place = joined.unwrap_or_else(|| {
            chains.push(Chain { stage, platform, steps: Vec::new() });
            chains.len() - 1
        });
        chains[place].steps.push(step);
        chain_of.insert(step, place);
    }
    // Whatever needs a chain needs its end.
    chains.sort_by_key(|chain| chain.steps.last().map(|step| position[step]));
    chains
}

/// Where it runs, and what for, if that is another.
fn platform(graph: &BuildGraph, step: StepIndex) -> Option<String> {
    let step = graph.step(step);
    match (&step.platform, &step.target) {
        (Some(platform), Some(target)) if platform != target => Some(format!("{platform} → {target}")),
        (Some(platform), _) | (None, Some(platform)) => Some(platform.clone()),
        (None, None) => None,
    }
}

/// In the order of the file, which is one in which stages build upon each other; if not, in the build's.
fn drawing_order(graph: &BuildGraph) -> Vec<StepIndex> {
    let ranked: Vec<_> = graph.steps().map(|(step, _)| step).collect();
    let mut order = ranked.clone();
    order.sort_by_key(|step| graph.file_order(MountRef { step: *step, mount: 0 }));
    let place: HashMap<_, _> = order.iter().enumerate().map(|(place, step)| (*step, place)).collect();
    let is_sound =
        order.iter().all(|step| graph.dependencies(*step).all(|needed| place[&needed] < place[step]));
    if is_sound { order } else { ranked }
}
