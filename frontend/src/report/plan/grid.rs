//! Which row and column a card gets: below all that it needs, beside those that may run at the same time.

use std::collections::BTreeMap;

use super::outline::Outline;

/// How many cards stand side by side at most.
const MOST_COLUMNS: usize = 4;

/// A card's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Cell {
    pub(super) row: usize,
    pub(super) column: usize,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Grid {
    pub(super) rows: usize,
    pub(super) columns: usize,
    /// By card.
    pub(super) cells: Vec<Cell>,
    levels: Vec<usize>,
}

impl Grid {
    pub(super) fn of(outline: &Outline) -> Self {
        let is_plain: Vec<_> = outline.cards.iter().map(|card| card.plain().is_some()).collect();
        let needs = outline.needs.iter().map(|(from, to)| (*from, to.card));
        let orders = outline.orders.iter().map(|(before, after)| (before.card, after.card));
        // An order may run between the steps of two cards in both directions.
        let before: Vec<_> = needs.chain(orders).filter(|(from, to)| from < to).collect();
        // What collides stands side by side.
        let mut races = vec![usize::MAX; outline.cards.len()];
        for (number, race) in outline.races.iter().enumerate().rev() {
            race.members.iter().for_each(|member| races[member.at.card] = number);
        }
        Self::with(&is_plain, &races, &before)
    }

    /// Where a row was broken, the cards that stand below each other because of that: for languages that lay out themselves
    /// and would make one long row again.
    pub(super) fn breaks(&self) -> Vec<(usize, usize)> {
        let cards: BTreeMap<Cell, usize> =
            self.cells.iter().enumerate().map(|(card, cell)| (*cell, card)).collect();
        let below = |(cell, card): (&Cell, &usize)| {
            let above = cards.get(&Cell { row: cell.row.checked_sub(1)?, ..*cell })?;
            (self.levels[*above] == self.levels[*card]).then_some((*above, *card))
        };
        cards.iter().filter_map(below).collect()
    }

    /// `before` are pairs of cards, each from a lower to a higher number; `is_plain` are low cards that may come late. Of those
    /// that may stand in a row, those with the same number in `groups` stand together.
    fn with(is_plain: &[bool], groups: &[usize], before: &[(usize, usize)]) -> Self {
        let level_of = levels_of(is_plain, before);
        let mut levels: Vec<Vec<usize>> = Vec::new();
        for (card, level) in level_of.iter().copied().enumerate() {
            if levels.len() <= level {
                levels.resize(level + 1, Vec::new());
            }
            levels[level].push(card);
        }
        let mut rows: Vec<Vec<usize>> = Vec::new();
        for mut level in levels {
            level.sort_by_key(|card| (is_plain[*card], groups[*card], *card));
            // As many in each row, not a full one and a rest.
            let count = level.len().div_ceil(MOST_COLUMNS).max(1);
            let in_each = level.len().div_ceil(count).max(1);
            rows.extend(level.chunks(in_each).map(<[usize]>::to_vec));
        }
        let columns = rows.iter().map(Vec::len).max().unwrap_or_default().max(1);
        let mut cells = vec![Cell { row: 0, column: 0 }; is_plain.len()];
        for (row, cards) in rows.iter_mut().enumerate() {
            // Below what it needs, in tenths of a column; in the middle if it needs nothing.
            let wish = |card: usize| {
                let above =
                    before.iter().filter(|(_, to)| *to == card).map(|(from, _)| cells[*from].column * 10);
                let (sum, count) = above.fold((0, 0), |(sum, count), column| (sum + column, count + 1));
                sum.checked_div(count).unwrap_or((columns - 1) * 5)
            };
            let mut wishes: Vec<_> = cards.iter().map(|card| (wish(*card), *card)).collect();
            wishes.sort_by_key(|(wish, _)| *wish);
            let mean = wishes.iter().map(|(wish, _)| wish).sum::<usize>() / wishes.len().max(1);
            let first = (mean + 4).saturating_sub((wishes.len() - 1) * 5) / 10;
            let first = first.min(columns - wishes.len());
            for (place, (_, card)) in wishes.into_iter().enumerate() {
                cells[card] = Cell { row, column: first + place };
            }
        }
        Self { rows: rows.len(), columns, cells, levels: level_of }
    }
}

/// As early as may be; but what nobody looks at stands next to whoever needs it.
fn levels_of(is_plain: &[bool], before: &[(usize, usize)]) -> Vec<usize> {
    let mut levels = vec![0_usize; is_plain.len()];
    let mut pairs = before.to_vec();
    pairs.sort_unstable_by_key(|(_, to)| *to);
    for (from, to) in &pairs {
        levels[*to] = levels[*to].max(levels[*from] + 1);
    }
    pairs.sort_unstable_by_key(|(from, _)| std::cmp::Reverse(*from));
    for of_one in pairs.chunk_by(|(a, _), (b, _)| a == b) {
        let card = of_one[0].0;
        let nearest = of_one.iter().map(|(_, to)| levels[*to]).min().unwrap_or_default();
        if is_plain[card] {
            levels[card] = levels[card].max(nearest.saturating_sub(1));
        }
    }
    levels
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(is_plain: &[bool], before: &[(usize, usize)]) -> String {
        let grid = Grid::with(is_plain, &vec![0; is_plain.len()], before);
        let mut lines = vec![vec!['.'; grid.columns]; grid.rows];
        for (card, cell) in grid.cells.iter().enumerate() {
            lines[cell.row][cell.column] = char::from_digit(u32::try_from(card).unwrap(), 36).unwrap();
        }
        lines.into_iter().map(String::from_iter).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn cards_stand_below_what_they_need() {
        assert_eq!(drawn(&[false; 4], &[(0, 1), (0, 2), (1, 3), (2, 3)]), "0. 12 3.");
        assert_eq!(drawn(&[false; 3], &[(0, 1), (1, 2)]), "0 1 2");
        assert_eq!(drawn(&[], &[]), "");
    }

    #[test]
    fn long_rows_are_broken_evenly() {
        assert_eq!(drawn(&[false; 6], &[(0, 5), (1, 5), (2, 5), (3, 5), (4, 5)]), "012 34. .5.");
        let breaks = Grid::with(&[false; 6], &[0; 6], &[(0, 5), (1, 5), (2, 5), (3, 5), (4, 5)]).breaks();
        assert_eq!(breaks, [(0, 3), (1, 4)]);
    }

    #[test]
    fn groups_stand_together() {
        let grid = Grid::with(&[false; 5], &[1, 0, 1, 0, 1], &[]);
        let mut cards: Vec<_> = (0..5).collect();
        cards.sort_by_key(|card| grid.cells[*card]);
        assert_eq!(cards, [1, 3, 0, 2, 4]);
    }

    #[test]
    fn what_nobody_looks_at_comes_late() {
        assert_eq!(drawn(&[false, true, false, false], &[(0, 2), (2, 3), (1, 3)]), "0. 21 3.");
    }
}
