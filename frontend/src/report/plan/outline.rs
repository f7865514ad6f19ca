//! The picture before it is drawn: lanes of boxes, what leads from one to another, and which of them race.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::Planned;
use crate::graph::{BuildGraph, MountRef, StepIndex};
use crate::hazard::Severity;

/// What a picture may hold, so that a large build is one that can be looked at.
const MOST_LANES: usize = 40;
const MOST_BOXES: usize = 240;
const MOST_RACES: usize = 24;

/// A stage, on a platform where there are several.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Lane {
    pub(super) name: String,
    pub(super) base: String,
}

/// A step with caches, or steps without in a row.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Box {
    pub(super) lane: usize,
    pub(super) steps: Vec<StepIndex>,
    pub(super) has_caches: bool,
    /// How many boxes at least are above it.
    pub(super) level: usize,
}

/// A hazard: its place in the plan, and the boxes of its steps.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Race {
    pub(super) place: usize,
    pub(super) severity: Severity,
    pub(super) boxes: Vec<usize>,
}

#[derive(Debug)]
pub(super) struct Outline {
    pub(super) lanes: Vec<Lane>,
    pub(super) boxes: Vec<Box>,
    /// Who needs whom, from lower to higher places.
    pub(super) edges: BTreeSet<(usize, usize)>,
    /// What the plan adds.
    pub(super) orders: Vec<(usize, usize)>,
    pub(super) races: Vec<Race>,
    /// What is too much: steps, stages, hazards.
    pub(super) hidden: (usize, usize, usize),
}

/// Which lane a step is in: its stage's place in the file, and its platform.
type LaneKey = (usize, Option<String>);

impl Outline {
    pub(super) fn of(planned: &Planned<'_>) -> Self {
        let graph = planned.graph;
        let order = drawing_order(graph);
        let has_platforms = graph.is_multi_platform();
        let keys: HashMap<StepIndex, LaneKey> =
            order.iter().map(|step| (*step, lane_key(graph, has_platforms, *step))).collect();
        let (shown, all_lanes) = choose_lanes(planned, &keys);
        let lanes: Vec<_> = shown.iter().map(|key| lane(graph, key)).collect();
        let places: HashMap<_, _> = shown.iter().enumerate().map(|(place, key)| (key, place)).collect();

        let mut boxes: Vec<Box> = Vec::new();
        let mut box_of: HashMap<StepIndex, usize> = HashMap::new();
        let mut edges = BTreeSet::new();
        let mut open: HashMap<usize, usize> = HashMap::new();
        let mut hidden_steps = 0;
        for step in order {
            let Some(lane) = places.get(&keys[&step]).copied() else {
                hidden_steps += 1;
                continue;
            };
            let has_caches = graph.step(step).caches().next().is_some();
            let needed: HashSet<_> =
                graph.dependencies(step).filter_map(|needed| box_of.get(&needed).copied()).collect();
            // A step may join those before it unless it needs something that came later than they.
            let joined = open.get(&lane).copied().filter(|last| {
                !has_caches && !boxes[*last].has_caches && needed.iter().all(|needed| needed <= last)
            });
            let place = match joined {
                Some(place) => place,
                None if boxes.len() == MOST_BOXES => {
                    hidden_steps += 1;
                    continue;
                }
                None => {
                    boxes.push(Box { lane, steps: Vec::new(), has_caches, level: 0 });
                    boxes.len() - 1
                }
            };
            boxes[place].steps.push(step);
            box_of.insert(step, place);
            edges.extend(needed.into_iter().filter(|needed| *needed != place).map(|needed| (needed, place)));
            open.insert(lane, place);
        }
        level(&mut boxes, &edges);

        let orders = planned.orders().into_iter();
        let orders = orders.filter_map(|(a, b)| Some((*box_of.get(&a)?, *box_of.get(&b)?))).collect();
        let races: Vec<_> = races(planned, &box_of);
        let hidden_races = planned.plan.mended.len() - races.len();
        let hidden = (hidden_steps, all_lanes - lanes.len(), hidden_races);
        Self { lanes, boxes, edges, orders, races, hidden }
    }

    /// What was left out, in words; empty if nothing was.
    pub(super) fn left_out(&self) -> String {
        let (steps, stages, hazards) = self.hidden;
        let parts = [(stages, "stage"), (steps, "step"), (hazards, "hazard")];
        let parts = parts.into_iter().filter(|(count, _)| *count > 0);
        let parts: Vec<_> = parts.map(|(count, what)| crate::report::check::counted(count, what)).collect();
        if parts.is_empty() { String::new() } else { format!("not shown: {}", parts.join(", ")) }
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

fn lane_key(graph: &BuildGraph, has_platforms: bool, step: StepIndex) -> LaneKey {
    let step = graph.step(step);
    // Names may repeat, so that lines tell.
    let line = step.location.as_ref().map_or(0, |location| location.line);
    let stage = graph.stages().partition_point(|stage| stage.line <= line).saturating_sub(1);
    let platform = if has_platforms { step.platform.clone() } else { None };
    (stage, platform)
}

fn lane(graph: &BuildGraph, (stage, platform): &LaneKey) -> Lane {
    let stage = graph.stages().get(*stage);
    let name = stage.map_or("the build", |stage| &stage.name);
    let base = stage.map_or(String::new(), |stage| format!("FROM {}", stage.base));
    let platform = platform.as_ref().map_or(String::new(), |platform| format!(" ({platform})"));
    Lane { name: format!("{name}{platform}"), base }
}

/// Those with hazards before all others, then those with caches, in the order of the file; and how many there are.
fn choose_lanes(planned: &Planned<'_>, keys: &HashMap<StepIndex, LaneKey>) -> (Vec<LaneKey>, usize) {
    let mut lanes: BTreeSet<LaneKey> = keys.values().cloned().collect();
    let used: HashSet<usize> = lanes.iter().map(|(stage, _)| *stage).collect();
    // A stage that only names an image is one too.
    lanes.extend((0..planned.graph.stages().len()).filter(|at| !used.contains(at)).map(|at| (at, None)));
    let mut weights: HashMap<&LaneKey, usize> = HashMap::new();
    for step in planned.steps() {
        weights.insert(&keys[&step], 1);
    }
    for at in planned.plan.mended.iter().flat_map(|mended| mended.finding.mounts()) {
        weights.insert(&keys[&at.step], 2);
    }
    let count = lanes.len();
    let mut shown: Vec<_> = lanes.into_iter().collect();
    shown.sort_by_key(|key| std::cmp::Reverse(weights.get(key).copied().unwrap_or_default()));
    shown.truncate(MOST_LANES);
    shown.sort();
    (shown, count)
}

/// Each box is below those that it needs and below the one before it in its lane.
fn level(boxes: &mut [Box], edges: &BTreeSet<(usize, usize)>) {
    let mut needed: Vec<Vec<usize>> = vec![Vec::new(); boxes.len()];
    for (from, to) in edges {
        needed[*to].push(*from);
    }
    let mut last: HashMap<usize, usize> = HashMap::new();
    for place in 0..boxes.len() {
        let above = needed[place].iter().copied().chain(last.insert(boxes[place].lane, place));
        boxes[place].level = above.map(|above| boxes[above].level + 1).max().unwrap_or_default();
    }
}

fn races(planned: &Planned<'_>, box_of: &HashMap<StepIndex, usize>) -> Vec<Race> {
    let race = |(place, mended): (usize, &crate::plan::Mended)| {
        let boxes: BTreeSet<_> =
            mended.finding.mounts().filter_map(|at| box_of.get(&at.step).copied()).collect();
        let severity = mended.finding.severity;
        (!boxes.is_empty()).then(|| Race { place, severity, boxes: boxes.into_iter().collect() })
    };
    planned.plan.mended.iter().enumerate().filter_map(race).take(MOST_RACES).collect()
}
