//! Text with some of its bytes replaced, which still knows its original lines.

use std::ops::Range;

/// A text, and for each of its lines the line, from 1, that it was in the beginning.
#[derive(Debug, Clone)]
pub(super) struct Text {
    pub(super) text: String,
    lines: Vec<u32>,
}

impl Text {
    pub(super) fn new(text: &str) -> Self {
        let count = u32::try_from(text.matches('\n').count()).unwrap_or(u32::MAX - 1);
        Self { text: text.to_owned(), lines: (1..=count + 1).collect() }
    }

    /// The original line of a line of the text.
    pub(super) fn original(&self, line: u32) -> u32 {
        let place = usize::try_from(line).unwrap_or(usize::MAX).saturating_sub(1);
        self.lines.get(place).or(self.lines.last()).copied().unwrap_or(line)
    }

    /// The text with its splices done. None if they overlap or part a character.
    pub(super) fn with(&self, mut splices: Vec<Splice>) -> Option<Self> {
        // What is put in at one place stays in the order in which it was asked for.
        splices.sort_by_key(|splice| (splice.at.start, splice.at.end));
        let mut new = Self { text: String::with_capacity(self.text.len()), lines: vec![self.original(1)] };
        let (mut done, mut line) = (0, 1);
        for Splice { at, by } in splices {
            let kept = self.text.get(done..at.start)?;
            new.keep(self, kept, &mut line);
            let dropped = self.text.get(at.clone())?;
            line += u32::try_from(dropped.matches('\n').count()).ok()?;
            new.lines.extend(std::iter::repeat_n(self.original(line), by.matches('\n').count()));
            new.text.push_str(&by);
            done = at.end;
        }
        new.keep(self, self.text.get(done..)?, &mut line);
        Some(new)
    }

    fn keep(&mut self, from: &Self, kept: &str, line: &mut u32) {
        for _ in kept.matches('\n') {
            *line += 1;
            self.lines.push(from.original(*line));
        }
        self.text.push_str(kept);
    }
}

/// Bytes, and what takes their place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Splice {
    pub(super) at: Range<usize>,
    pub(super) by: String,
}

impl Splice {
    pub(super) fn insert(at: usize, by: impl Into<String>) -> Self {
        Self { at: at..at, by: by.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_remember_where_they_were() {
        let text = Text::new("a\nb\nc");
        let new =
            text.with(vec![Splice::insert(2, "x\ny\n"), Splice { at: 4..5, by: "C".to_owned() }]).unwrap();
        assert_eq!(new.text, "a\nx\ny\nb\nC");
        assert_eq!((1..=5).map(|line| new.original(line)).collect::<Vec<_>>(), [1, 2, 2, 2, 3]);
    }

    #[test]
    fn splices_do_not_overlap() {
        let text = Text::new("abc");
        let splice = |at| Splice { at, by: String::new() };
        assert!(text.with(vec![splice(0..2), splice(1..3)]).is_none());
        assert!(Text::new("ä").with(vec![Splice::insert(1, "")]).is_none());
    }
}
