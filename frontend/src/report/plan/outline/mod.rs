//! The picture before it is drawn: cards with steps in them, what leads from one to another, and which of them collide.
//!
//! A card is a chain of steps of one stage, one after the other, so whatever collides stands on two cards. Nothing needs a
//! chain but by its last step; a step may need other chains' ends.

mod chain;
mod choose;
mod needs;

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use super::Planned;
use super::wording::left_out;
use crate::graph::{BuildGraph, MountRef, Stage, StepIndex};
use crate::hazard::Severity;
use crate::plan::Mended;
pub(super) use chain::stage_of;
use chain::{Chain, chains};

/// What a card may hold, and a picture, so that a large build is one that can be looked at.
const MOST_PARTS: usize = 8;
const MOST_RACES: usize = 24;

/// A chain of steps, or the step of ours.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Card {
    /// Its stage, with the platform where there are several.
    pub(super) name: String,
    /// `FROM` and what follows.
    pub(super) base: String,
    /// From first to last.
    pub(super) parts: Vec<Part>,
}

impl Card {
    /// The number of its steps, if none of them mounts a cache.
    pub(super) fn plain(&self) -> Option<usize> {
        let counts = self.parts.iter().map(|part| match part {
            Part::Folded { count, .. } => Some(*count),
            Part::Cached(_) | Part::Primer => None,
        });
        counts.sum()
    }
}

/// What is drawn as one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// A step with caches.
    Cached(StepIndex),
    /// Steps in a row that have none, or too many to draw.
    Folded { first: StepIndex, count: usize },
    /// The step of ours that prepares caches.
    Primer,
}

/// A part's place: its card, and its place there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct At {
    pub(super) card: usize,
    pub(super) part: usize,
}

/// A mount that collides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Member {
    pub(super) at: At,
    pub(super) mount: MountRef,
}

/// A hazard: its place in the plan, and its mounts, from the first card to the last.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Race {
    pub(super) place: usize,
    pub(super) severity: Severity,
    pub(super) members: Vec<Member>,
}

impl Race {
    /// The parts that collide, each by its first mount.
    pub(super) fn parts(&self) -> Vec<Member> {
        let mut members = self.members.clone();
        members.dedup_by_key(|member| member.at);
        members
    }
}

#[derive(Debug)]
pub(super) struct Outline {
    /// Each after those that it needs.
    pub(super) cards: Vec<Card>,
    /// Whose end is needed by which part; what follows from others is left out.
    pub(super) needs: Vec<(usize, At)>,
    /// What the plan adds: before, after.
    pub(super) orders: Vec<(At, At)>,
    pub(super) races: Vec<Race>,
    /// What is not drawn, in words.
    pub(super) left_out: Vec<String>,
}

impl Outline {
    pub(super) fn of(planned: &Planned<'_>) -> Self {
        let graph = planned.graph;
        let all = chains(graph);
        let shown = choose::choose(planned, &all);
        let needs = needs::Needs::of(graph, &all, &shown);
        let racing: HashSet<StepIndex> =
            planned.plan.mended.iter().flat_map(|mended| mended.finding.mounts()).map(|at| at.step).collect();

        // Ours comes first.
        let ours = usize::from(planned.plan.primer.is_some());
        let mut cards: Vec<Card> = planned.plan.primer.iter().map(|_| primer()).collect();
        let mut places: HashMap<StepIndex, At> = HashMap::new();
        let mut edges = Vec::new();
        for (card, chain) in shown.iter().map(|place| &all[*place]).enumerate() {
            let card = card + ours;
            let parts = parts(graph, chain, &racing);
            let mut last = None;
            for (part, (_, steps)) in parts.iter().enumerate() {
                let at = At { card, part };
                places.extend(steps.iter().map(|step| (*step, at)));
                let end = steps.last().copied();
                edges.extend(needs.between(last, end).map(|needed| (needed + ours, at)));
                last = end;
            }
            let parts = parts.into_iter().map(|(part, _)| part).collect();
            cards.push(Card { name: chain.name(graph), base: chain.base(graph), parts });
        }

        let primer = At { card: 0, part: 0 };
        let primed = planned.plan.primer.iter().flat_map(|primer| &primer.before);
        let primed = primed.filter_map(|step| Some((primer, *places.get(step)?)));
        let orders = planned.orders().into_iter();
        let orders = orders.filter_map(|(a, b)| Some((*places.get(&a)?, *places.get(&b)?)));
        let orders: Vec<_> = primed.chain(orders).filter(|(before, after)| before != after).collect();

        let is_cached = |at: &At| matches!(cards[at.card].parts[at.part], Part::Cached(_));
        let races: Vec<_> = races(planned, &places, &is_cached);
        let drawn: HashSet<usize> = shown.iter().filter_map(|place| all[*place].stage).collect();
        let steps = places.iter().filter(|(step, at)| is_cached(at) && has_caches(graph, **step)).count();
        let hidden_steps = planned.steps().len() - steps;
        let left_out =
            left_out(&bare_stages(planned, &drawn), hidden_steps, planned.plan.mended.len() - races.len());
        Self { cards, needs: edges, orders, races, left_out }
    }

    /// The numbers of a mount's hazards, from 0.
    pub(super) fn numbers(&self, mount: MountRef) -> impl Iterator<Item = usize> {
        let races = self.races.iter().enumerate();
        let races = races.filter(move |(_, race)| race.members.iter().any(|member| member.mount == mount));
        races.map(|(number, _)| number)
    }

    /// The worst that a step takes part in.
    pub(super) fn worst(&self, at: At) -> Option<Severity> {
        let races = self.races.iter().filter(|race| race.members.iter().any(|member| member.at == at));
        races.map(|race| race.severity).max()
    }

    /// Whether the same mounts collide because of another hazard as well, whose line is drawn: the worst one's, of the
    /// first.
    pub(super) fn is_drawn_with_another(&self, number: usize) -> bool {
        let race = &self.races[number];
        let mut others = self.races.iter().enumerate().filter(|(other, _)| *other != number);
        others.any(|(other, it)| {
            (it.severity, Reverse(other)) > (race.severity, Reverse(number)) && it.members == race.members
        })
    }
}

fn has_caches(graph: &BuildGraph, step: StepIndex) -> bool {
    graph.step(step).caches().next().is_some()
}

fn primer() -> Card {
    Card { name: "primer".to_owned(), base: "runs first, by the plan".to_owned(), parts: vec![Part::Primer] }
}

/// The parts of a card and their steps. Of many steps with caches, those that collide are shown before all others.
fn parts(graph: &BuildGraph, chain: &Chain, racing: &HashSet<StepIndex>) -> Vec<(Part, Vec<StepIndex>)> {
    let mut cached: Vec<_> = chain.steps.iter().copied().filter(|step| has_caches(graph, *step)).collect();
    cached.sort_by_key(|step| !racing.contains(step));
    cached.truncate(MOST_PARTS);
    let cached: HashSet<_> = cached.into_iter().collect();
    let mut parts: Vec<(Part, Vec<StepIndex>)> = Vec::new();
    for step in chain.steps.iter().copied() {
        if cached.contains(&step) {
            parts.push((Part::Cached(step), vec![step]));
        } else if let Some((Part::Folded { count, .. }, steps)) = parts.last_mut() {
            *count += 1;
            steps.push(step);
        } else {
            parts.push((Part::Folded { first: step, count: 1 }, vec![step]));
        }
    }
    parts
}

/// The stages without caches that no card is of, in file order.
fn bare_stages<'p>(planned: &Planned<'p>, drawn: &HashSet<usize>) -> Vec<&'p Stage> {
    let graph = planned.graph;
    let cached: HashSet<usize> =
        planned.steps().into_iter().filter_map(|step| stage_of(graph, step)).collect();
    let stages = graph.stages().iter().enumerate();
    let bare = stages.filter(|(place, _)| !drawn.contains(place) && !cached.contains(place));
    bare.map(|(_, stage)| stage).collect()
}

fn races(
    planned: &Planned<'_>,
    places: &HashMap<StepIndex, At>,
    is_cached: &dyn Fn(&At) -> bool,
) -> Vec<Race> {
    let race = |(place, mended): (usize, &Mended)| {
        let mounts = mended.finding.mounts();
        let members = mounts.filter_map(|mount| Some(Member { at: *places.get(&mount.step)?, mount }));
        let mut members: Vec<_> = members.filter(|member| is_cached(&member.at)).collect();
        members.sort();
        members.dedup();
        let severity = mended.finding.severity;
        (!members.is_empty()).then_some(Race { place, severity, members })
    };
    planned.plan.mended.iter().enumerate().filter_map(race).take(MOST_RACES).collect()
}
