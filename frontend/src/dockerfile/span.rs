//! Where in the source something stands.

use std::ops::Range;

/// Bytes of the source. Half as large as a [`Range<usize>`], which a file of many lines is thankful for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// The first byte.
    pub start: u32,
    /// What follows the last one.
    pub end: u32,
}

impl Span {
    /// The largest source that spans can point into, in bytes: 256 MiB.
    pub const MAX_SOURCE: usize = 1 << 28;

    /// The bytes, to index the source by.
    #[must_use]
    pub fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    /// What stands there in a source.
    #[must_use]
    pub fn of(self, source: &str) -> &str {
        source.get(self.range()).unwrap_or_default()
    }
}

impl From<Range<usize>> for Span {
    /// Of a source that is not larger than [`Span::MAX_SOURCE`].
    fn from(range: Range<usize>) -> Self {
        let place = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        Self { start: place(range.start), end: place(range.end) }
    }
}
