//! Rows, columns and what lies between them, in pixels: as wide as the lines in it need.

use super::super::grid::{Cell, Grid};
use super::route::{Ground, Routes};

pub(super) const MARGIN: usize = 24;
/// How wide a card is.
pub(super) const CARD: usize = 300;
/// From a card to the first track.
const SHOULDER: usize = 16;
/// From track to track.
const TRACK: usize = 8;

/// A rectangle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) x: usize,
    pub(super) y: usize,
    pub(super) width: usize,
    pub(super) height: usize,
}

impl Frame {
    pub(super) fn right(self) -> usize {
        self.x + self.width
    }

    pub(super) fn bottom(self) -> usize {
        self.y + self.height
    }
}

/// Rows and columns in pixels.
#[derive(Debug)]
pub(super) struct Floor {
    channels: Vec<usize>,
    gutters: Vec<usize>,
    /// By card.
    pub(super) cards: Vec<Frame>,
    pub(super) width: usize,
    pub(super) height: usize,
}

impl Floor {
    /// `heights` are those of the cards.
    pub(super) fn of(grid: &Grid, routes: &Routes, heights: &[usize]) -> Self {
        let breadth = |tracks: usize| if tracks == 0 { 0 } else { (tracks - 1) * TRACK };
        let mut rows = vec![0; grid.rows];
        for (cell, height) in grid.cells.iter().zip(heights) {
            rows[cell.row] = rows[cell.row].max(*height);
        }
        let mut y = 0;
        let mut channels = Vec::with_capacity(grid.rows + 1);
        let mut tops = Vec::with_capacity(grid.rows);
        for channel in 0..=grid.rows {
            let tracks = routes.in_channel(channel);
            let is_edge = channel == 0 || channel == grid.rows;
            // Nothing goes around the outside if it need not.
            let shoulders = if is_edge && tracks == 0 { 0 } else { SHOULDER };
            channels.push(y + shoulders);
            y += 2 * shoulders + breadth(tracks);
            tops.push(y);
            y += rows.get(channel).copied().unwrap_or_default();
        }
        let mut x = MARGIN;
        let mut gutters = Vec::with_capacity(grid.columns + 1);
        let mut lefts = Vec::with_capacity(grid.columns);
        for gutter in 0..=grid.columns {
            let tracks = routes.in_gutter(gutter);
            let is_edge = gutter == 0 || gutter == grid.columns;
            let shoulders = if is_edge && tracks == 0 { 0 } else { SHOULDER };
            gutters.push(x + shoulders);
            x += 2 * shoulders + breadth(tracks);
            if gutter < grid.columns {
                lefts.push(x);
                x += CARD;
            }
        }
        let frame = |(cell, height): (&Cell, &usize)| Frame {
            x: lefts[cell.column],
            y: tops[cell.row],
            width: CARD,
            height: *height,
        };
        let cards = grid.cells.iter().zip(heights).map(frame).collect();
        Self { channels, gutters, cards, width: x + MARGIN, height: y }
    }
}

impl Ground for Floor {
    fn along(&self, channel: usize, track: usize) -> usize {
        self.channels[channel] + track * TRACK
    }

    fn down(&self, gutter: usize, track: usize) -> usize {
        self.gutters[gutter] + track * TRACK
    }

    fn card(&self, card: usize) -> (usize, usize, usize, usize) {
        let frame = self.cards[card];
        (frame.x, frame.y, frame.right(), frame.bottom())
    }
}
