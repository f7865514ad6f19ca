//! Where something stands in a source.

use std::ops::Range;

use crate::graph::{BuildGraph, MountRef};

/// Where the lines of a source begin.
#[derive(Debug, Clone)]
pub(super) struct Lines<'s> {
    source: &'s str,
    starts: Vec<usize>,
}

/// A part of a source: lines and columns in characters, from 1; the end is behind the last character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Region {
    pub(super) start: (usize, usize),
    pub(super) end: (usize, usize),
}

impl<'s> Lines<'s> {
    pub(super) fn new(source: &'s str) -> Self {
        let newlines = memchr::memchr_iter(b'\n', source.as_bytes());
        Self { source, starts: [0].into_iter().chain(newlines.map(|at| at + 1)).collect() }
    }

    /// The bytes of a mount: its flag, or its step's first line where it stands nowhere by itself.
    pub(super) fn span(&self, graph: &BuildGraph, at: MountRef) -> Range<usize> {
        let flag = graph.mount(at).span.clone();
        let flag = flag.filter(|span| self.source.get(span.clone()).is_some());
        let line = || graph.step(at.step).location.as_ref().map_or(1, |location| location.line);
        flag.unwrap_or_else(|| self.line(usize::try_from(line()).unwrap_or(usize::MAX)))
    }

    /// The bytes of a line, from 1, without white space around them. The last line if there is no such line.
    pub(super) fn line(&self, number: usize) -> Range<usize> {
        let at = number.saturating_sub(1).min(self.starts.len() - 1);
        let start = self.starts[at];
        let text = &self.source[start..self.starts.get(at + 1).copied().unwrap_or(self.source.len())];
        let end = start + text.trim_end().len();
        (end - text.trim().len())..end
    }

    /// The number of the line, from 1, that a byte is on.
    pub(super) fn number(&self, at: usize) -> usize {
        self.starts.partition_point(|start| *start <= at)
    }

    /// Where the line with this number begins; the end of the source behind the last one.
    pub(super) fn start(&self, number: usize) -> usize {
        self.starts.get(number.saturating_sub(1)).copied().unwrap_or(self.source.len())
    }

    pub(super) fn region(&self, span: &Range<usize>) -> Region {
        Region { start: self.place(span.start), end: self.place(span.end) }
    }

    fn place(&self, at: usize) -> (usize, usize) {
        let number = self.number(at);
        let before = self.source.get(self.start(number)..at).unwrap_or_default();
        (number, before.trim_start_matches('\u{feff}').chars().count() + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_count_from_one() {
        let lines = Lines::new("ab\n  cä d \n");
        assert_eq!(lines.line(1), 0..2);
        assert_eq!(&lines.source[lines.line(2)], "cä d");
        assert_eq!(lines.line(3), 12..12);
        assert_eq!(lines.line(99), 12..12);
        assert_eq!(lines.region(&(5..9)), Region { start: (2, 3), end: (2, 6) });
        assert_eq!((lines.start(2), lines.start(9)), (3, 12));
    }
}
