//! Where everything is, in pixels: a pure function of the outline.

use super::super::Planned;
use super::super::grid::Grid;
use super::super::outline::{At, Outline, Part};
use super::super::wording::Words;

use super::floor::{CARD, Floor, Frame};
use super::route::{Link, Port, Routes, Side};
use crate::graph::MountRef;

/// From a card's edge to what is in it.
pub(super) const PADDING: usize = 10;
/// A card's name and base.
const HEAD: usize = 46;
const FOLDED: usize = 26;
/// A step's name and what it does.
const STEP: usize = 42;
pub(super) const CHIP: usize = 20;
/// The line of a chip that tells another id.
const NEW_ID: usize = 16;
const CHIP_GAP: usize = 4;
/// Between parts.
pub(super) const STEP_GAP: usize = 14;
/// How far to the right of a card's middle orders leave and arrive.
const ORDER: isize = 48;

/// What a line means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Needs,
    Order,
    /// The hazard's place in the outline.
    Race(usize),
}

/// A line and its corners.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wire {
    pub(super) kind: Kind,
    pub(super) corners: Vec<(usize, usize)>,
}

/// A part with its words.
#[derive(Debug)]
pub(super) struct Placed<'p> {
    pub(super) part: Part,
    pub(super) frame: Frame,
    pub(super) words: Words<'p>,
}

/// The cards and lines; the first row begins at 0.
#[derive(Debug)]
pub(super) struct Sheet<'p> {
    pub(super) cards: Vec<(Frame, Vec<Placed<'p>>)>,
    pub(super) wires: Vec<Wire>,
    pub(super) width: usize,
    pub(super) height: usize,
}

impl<'p> Sheet<'p> {
    pub(super) fn of(planned: &'p Planned<'p>, outline: &Outline) -> Self {
        let grid = Grid::of(outline);
        let stacks: Vec<_> = outline.cards.iter().map(|card| stack(planned, &card.parts)).collect();
        let (kinds, links) = links(outline, &grid, &stacks);
        let routes = Routes::of(&grid, links);
        let heights: Vec<_> = stacks.iter().map(|stack| stack.height).collect();
        let floor = Floor::of(&grid, &routes, &heights);
        let wire = |(route, kind): (_, &Kind)| Wire { kind: *kind, corners: routes.corners(route, &floor) };
        let wires = routes.routes.iter().zip(&kinds).map(wire).collect();
        let cards = stacks.into_iter().zip(&floor.cards).map(|(stack, frame)| {
            let shift = |placed: Placed<'p>| {
                let frame =
                    Frame { x: frame.x + placed.frame.x, y: frame.y + placed.frame.y, ..placed.frame };
                Placed { frame, ..placed }
            };
            (*frame, stack.parts.into_iter().map(shift).collect())
        });
        Self { cards: cards.collect(), wires, width: floor.width, height: floor.height }
    }
}

/// The parts of a card, as if the card stood at 0, 0.
#[derive(Debug)]
struct Stack<'p> {
    parts: Vec<Placed<'p>>,
    height: usize,
}

fn stack<'p>(planned: &'p Planned<'p>, parts: &[Part]) -> Stack<'p> {
    let mut y = HEAD;
    let mut placed = Vec::with_capacity(parts.len());
    for part in parts {
        let words = Words::of(planned, *part);
        let height = match part {
            Part::Folded { .. } => FOLDED,
            Part::Cached(_) | Part::Primer => {
                chips(&words).iter().map(|(_, end)| end + 2 * CHIP_GAP).max().unwrap_or(STEP)
            }
        };
        let frame = Frame { x: PADDING, y, width: CARD - 2 * PADDING, height };
        placed.push(Placed { part: *part, frame, words });
        y += height + STEP_GAP;
    }
    let has_boxes = parts.iter().any(|part| !matches!(part, Part::Folded { .. }));
    if has_boxes {
        return Stack { parts: placed, height: y - STEP_GAP + PADDING };
    }
    // A card without caches is its head alone.
    Stack { parts: Vec::new(), height: HEAD }
}

/// Where the chips begin and end, below the part's top; the last is that for those that are not shown.
fn chips(words: &Words<'_>) -> Vec<(usize, usize)> {
    let heights = words.chips.iter().map(|chip| CHIP + if chip.new_id.is_some() { NEW_ID } else { 0 });
    let heights = heights.chain((words.more > 0).then_some(CHIP));
    let mut y = STEP;
    let extent = |height| {
        let from = y;
        y += height + CHIP_GAP;
        (from, from + height)
    };
    heights.map(extent).collect()
}

impl Placed<'_> {
    /// The frames of the chips, and of what tells how many more there are.
    pub(super) fn chips(&self) -> Vec<Frame> {
        let Frame { x, y, width, .. } = self.frame;
        let frame = |(from, to)| Frame { x: x + 8, y: y + from, width: width - 16, height: to - from };
        chips(&self.words).into_iter().map(frame).collect()
    }
}

/// What is to be connected, and what each line means.
fn links(outline: &Outline, grid: &Grid, stacks: &[Stack<'_>]) -> (Vec<Kind>, Vec<Link>) {
    let mut kinds = Vec::new();
    let mut links = Vec::new();
    let mut add = |kind, link| {
        kinds.push(kind);
        links.push(link);
    };
    let cards = outline.cards.len();
    let beside = |at: At, y: usize| {
        let part = stacks[at.card].parts.get(at.part);
        let y = part.map_or(HEAD / 2, |part| part.frame.y + y.min(part.frame.height - 6));
        Port { card: at.card, side: Side::Beside(y) }
    };
    let top = |at: At, aside: isize, y: usize| {
        if at.part == 0 { Port { card: at.card, side: Side::Top(aside) } } else { beside(at, y) }
    };
    let bottom = |at: At, aside: isize| {
        let is_last = at.part + 1 == outline.cards[at.card].parts.len();
        if is_last { Port { card: at.card, side: Side::Bottom(aside) } } else { beside(at, 30) }
    };
    // Lines that share the end with more of them are one net.
    let mut out = vec![0; cards];
    let mut back = vec![0; cards];
    for (from, to) in &outline.needs {
        out[*from] += 1;
        back[to.card] += 1;
    }
    for (from, to) in &outline.needs {
        let net = if out[*from] >= back[to.card] { *from } else { cards + to.card };
        let from = Port { card: *from, side: Side::Bottom(0) };
        add(Kind::Needs, Link { net, from, to: top(*to, 0, 10) });
    }
    for (before, after) in &outline.orders {
        let net = 2 * cards + before.card;
        add(Kind::Order, Link { net, from: bottom(*before, ORDER), to: top(*after, ORDER, 20) });
    }
    for (place, race) in outline.races.iter().enumerate() {
        if outline.is_drawn_with_another(place) {
            continue;
        }
        let mut parts = race.parts();
        parts.sort_by_key(|member| (grid.cells[member.at.card], member.at.part));
        let port = |at: At, mount: MountRef| {
            let chip = stacks[at.card].parts.get(at.part).map_or((0, 0), |part| {
                chips(&part.words).get(row(&part.words, mount)).copied().unwrap_or_default()
            });
            // A hazard has a height of its own, so that two of one cache are two lines.
            beside(at, chip.0 + CHIP / 2 + place % 3 * 4 - 4)
        };
        for pair in parts.windows(2) {
            let (from, to) = (port(pair[0].at, pair[0].mount), port(pair[1].at, pair[1].mount));
            add(Kind::Race(place), Link { net: 3 * cards + place, from, to });
        }
    }
    (kinds, links)
}

/// The row of a mount's chip; the last one if there is none for it.
pub(super) fn row(words: &Words<'_>, mount: MountRef) -> usize {
    words.chips.iter().position(|chip| chip.mount == mount).unwrap_or(words.chips.len().saturating_sub(1))
}
