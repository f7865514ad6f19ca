//! Lines that go around cards: along the channels between rows and down the gutters between columns.
//!
//! A channel or a gutter has tracks. Lines of one net share a track, lines of two nets never do where they are side by side.

use std::collections::{BTreeMap, BTreeSet};

use super::super::grid::{Cell, Grid};

/// Where a line begins or ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Side {
    /// On the upper edge, so many pixels to the right of its middle.
    Top(isize),
    /// On the lower edge, so many pixels to the right of its middle.
    Bottom(isize),
    /// On the left or the right, as is nearer, so many pixels below the card's top.
    Beside(usize),
}

/// A side of a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Port {
    pub(super) card: usize,
    pub(super) side: Side,
}

/// A line to be drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) net: usize,
    pub(super) from: Port,
    pub(super) to: Port,
}

/// A straight part of a line. Its extent counts rows or columns in halves: even numbers are the channels or gutters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Run {
    Along { channel: usize, extent: (usize, usize) },
    Down { gutter: usize, extent: (usize, usize) },
}

/// Which channels and gutters a line goes through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Route {
    pub(super) link: Link,
    runs: Vec<Run>,
}

impl Route {
    /// Whether it only goes down.
    fn is_straight(&self) -> bool {
        let aside = |port: Port| match port.side {
            Side::Top(aside) | Side::Bottom(aside) => Some(aside),
            Side::Beside(_) => None,
        };
        self.runs.len() == 1 && aside(self.link.from) == aside(self.link.to)
    }
}

/// The routes of all lines, and the tracks that they take.
#[derive(Debug, Default)]
pub(super) struct Routes {
    pub(super) routes: Vec<Route>,
    channels: Tracks,
    gutters: Tracks,
}

/// The tracks of all channels, or of all gutters.
#[derive(Debug, Default)]
struct Tracks {
    /// By channel and net.
    of_net: BTreeMap<(usize, usize), usize>,
}

/// Where the channels, the gutters and the cards are, in pixels.
pub(super) trait Ground {
    /// The track's y.
    fn along(&self, channel: usize, track: usize) -> usize;
    /// The track's x.
    fn down(&self, gutter: usize, track: usize) -> usize;
    /// Left, top, right and bottom of a card.
    fn card(&self, card: usize) -> (usize, usize, usize, usize);
}

impl Routes {
    pub(super) fn of(grid: &Grid, mut links: Vec<Link>) -> Self {
        keep_apart(grid, &mut links);
        let routes: Vec<_> =
            links.iter().map(|link| Route { link: *link, runs: runs(grid, *link) }).collect();
        let mut channels = Vec::new();
        let mut gutters = Vec::new();
        for route in &routes {
            for run in &route.runs {
                match *run {
                    // A line that goes straight on needs no track.
                    Run::Along { extent: (from, to), .. } if from == to && route.is_straight() => {}
                    Run::Along { channel, extent } => channels.push((channel, route.link.net, extent)),
                    Run::Down { gutter, extent } => gutters.push((gutter, route.link.net, extent)),
                }
            }
        }
        Self { routes, channels: Tracks::of(channels), gutters: Tracks::of(gutters) }
    }

    /// How many tracks a channel has.
    pub(super) fn in_channel(&self, channel: usize) -> usize {
        self.channels.count(channel)
    }

    /// How many tracks a gutter has.
    pub(super) fn in_gutter(&self, gutter: usize) -> usize {
        self.gutters.count(gutter)
    }

    /// The corners of a line, from its beginning to its end.
    pub(super) fn corners(&self, route: &Route, ground: &impl Ground) -> Vec<(usize, usize)> {
        let net = route.link.net;
        let at = |run: &Run| match *run {
            Run::Along { channel, .. } => {
                (None, Some(ground.along(channel, self.channels.track(channel, net))))
            }
            Run::Down { gutter, .. } => (Some(ground.down(gutter, self.gutters.track(gutter, net))), None),
        };
        let end = |port: Port, run: &Run| {
            let (left, top, right, bottom) = ground.card(port.card);
            let middle = left.midpoint(right);
            match port.side {
                Side::Top(aside) => (middle.saturating_add_signed(aside), top),
                Side::Bottom(aside) => (middle.saturating_add_signed(aside), bottom),
                Side::Beside(y) => {
                    let is_left = at(run).0.is_some_and(|x| x < left);
                    (if is_left { left } else { right }, top + y)
                }
            }
        };
        let (Some(first), Some(last)) = (route.runs.first(), route.runs.last()) else { return Vec::new() };
        let (start, stop) = (end(route.link.from, first), end(route.link.to, last));
        let mut corners = vec![start];
        let (mut x, mut y) = start;
        for run in &route.runs {
            let (next_x, next_y) = at(run);
            (x, y) = (next_x.unwrap_or(x), next_y.unwrap_or(y));
            corners.push((x, y));
        }
        match last {
            Run::Along { .. } => corners.push((stop.0, y)),
            Run::Down { .. } => corners.push((x, stop.1)),
        }
        corners.push(stop);
        corners.dedup();
        corners
    }
}

impl Tracks {
    /// The first track that is free, for each net in the order of where it begins.
    fn of(runs: Vec<(usize, usize, (usize, usize))>) -> Self {
        let mut hulls: BTreeMap<(usize, usize), (usize, usize)> = BTreeMap::new();
        for (place, net, (a, b)) in runs {
            let hull = hulls.entry((place, net)).or_insert((a.min(b), a.max(b)));
            *hull = (hull.0.min(a).min(b), hull.1.max(a).max(b));
        }
        let mut hulls: Vec<_> = hulls.into_iter().collect();
        hulls.sort_by_key(|((place, net), (from, _))| (*place, *from, *net));
        let mut of_net = BTreeMap::new();
        // Where the last net of each track ends.
        let mut ends: Vec<usize> = Vec::new();
        let mut current = None;
        for ((place, net), (from, to)) in hulls {
            if current != Some(place) {
                current = Some(place);
                ends.clear();
            }
            let track = ends.iter().position(|end| *end < from).unwrap_or(ends.len());
            match ends.get_mut(track) {
                Some(end) => *end = to,
                None => ends.push(to),
            }
            of_net.insert((place, net), track);
        }
        Self { of_net }
    }

    fn count(&self, place: usize) -> usize {
        let of_place = self.of_net.range((place, 0)..(place + 1, 0));
        of_place.map(|(_, track)| track + 1).max().unwrap_or_default()
    }

    fn track(&self, place: usize, net: usize) -> usize {
        self.of_net.get(&(place, net)).copied().unwrap_or_default()
    }
}

/// What leaves a card must not seem to arrive at the card below: unless there is a line between the two, lines arrive to the
/// left of where others leave.
fn keep_apart(grid: &Grid, links: &mut [Link]) {
    let mut leaving: BTreeMap<Cell, BTreeSet<usize>> = BTreeMap::new();
    let mut arriving: BTreeMap<Cell, BTreeSet<usize>> = BTreeMap::new();
    for link in links.iter() {
        if let Side::Bottom(0) = link.from.side {
            let Cell { row, column } = grid.cells[link.from.card];
            leaving.entry(Cell { row: row + 1, column }).or_default().insert(link.from.card);
        }
        if let Side::Top(0) = link.to.side {
            arriving.entry(grid.cells[link.to.card]).or_default().insert(link.from.card);
        }
    }
    for link in links {
        let cell = grid.cells[link.to.card];
        let is_apart =
            |cards: &BTreeSet<usize>| arriving.get(&cell).is_some_and(|from| from.is_disjoint(cards));
        if link.to.side == Side::Top(0) && leaving.get(&cell).is_some_and(is_apart) {
            link.to.side = Side::Top(-ASIDE);
        }
    }
}

/// How far lines that must not meet are from each other, in pixels.
const ASIDE: isize = 24;

/// Through which channels and gutters.
fn runs(grid: &Grid, link: Link) -> Vec<Run> {
    let (a, b) = (grid.cells[link.from.card], grid.cells[link.to.card]);
    let channel = |cell: Cell, side: Side| match side {
        Side::Top(_) => Some(cell.row),
        Side::Bottom(_) => Some(cell.row + 1),
        Side::Beside(_) => None,
    };
    // The gutter of `cell` that is nearer to `other`.
    let gutter = |cell: Cell, other: Cell| cell.column + usize::from(other.column >= cell.column);
    let middle = |cell: Cell| 2 * cell.column + 1;
    let along = |channel, from, to| Run::Along { channel, extent: (from, to) };
    let down = |gutter, from, to| Run::Down { gutter, extent: (from, to) };
    let row = |cell: Cell| 2 * cell.row + 1;
    match (channel(a, link.from.side), channel(b, link.to.side)) {
        (Some(out), Some(back)) if out == back => vec![along(out, middle(a), middle(b))],
        (Some(out), Some(back)) => {
            let g = gutter(b, a);
            vec![along(out, middle(a), 2 * g), down(g, 2 * out, 2 * back), along(back, 2 * g, middle(b))]
        }
        (Some(out), None) => {
            let g = gutter(b, a);
            vec![along(out, middle(a), 2 * g), down(g, 2 * out, row(b))]
        }
        (None, Some(back)) => {
            let g = gutter(a, b);
            vec![down(g, row(a), 2 * back), along(back, 2 * g, middle(b))]
        }
        (None, None) => {
            let (out, back) = (gutter(a, b), gutter(b, a));
            if out == back {
                return vec![down(out, row(a), row(b))];
            }
            // Above the lower one of the two.
            let over = a.row.max(b.row);
            vec![down(out, row(a), 2 * over), along(over, 2 * out, 2 * back), down(back, 2 * over, row(b))]
        }
    }
}
