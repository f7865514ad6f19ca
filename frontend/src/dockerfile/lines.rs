//! Lines as they stand in the file, and the instructions that continuations join from them.

use std::borrow::Cow;
use std::ops::Range;

use super::instruction::Text;
use super::part::{Part, trim_start};

/// The byte order mark, which some editors put before the first line.
pub(super) const BOM: &str = "\u{feff}";

/// The longest line in bytes, without its newline. BuildKit reads lines with Go's `bufio.Scanner`, which holds no more.
pub(super) const MAX_LINE: usize = 65_535;

/// What a continued instruction is given room for at first, in bytes.
const CONTINUED: usize = 1024;

/// A line of the file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line<'a> {
    /// Without the characters that end it.
    pub(super) text: &'a str,
    /// Where its text begins in the source.
    pub(super) start: usize,
    /// Where the next line begins.
    pub(super) end: usize,
    /// From 1.
    pub(super) number: u32,
}

/// The lines of a file, one after the other.
#[derive(Debug)]
pub(super) struct Lines<'a> {
    source: &'a str,
    at: usize,
    number: u32,
}

impl<'a> Lines<'a> {
    pub(super) fn new(source: &'a str) -> Self {
        let at = if source.starts_with(BOM) { BOM.len() } else { 0 };
        Self { source, at, number: 0 }
    }

    /// Where the next line begins.
    pub(super) fn at(&self) -> usize {
        self.at
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = Line<'a>;

    fn next(&mut self) -> Option<Line<'a>> {
        let start = self.at;
        let rest = &self.source[start..];
        if rest.is_empty() {
            return None;
        }
        let newline = memchr::memchr(b'\n', rest.as_bytes());
        let text = without_returns(&rest[..newline.unwrap_or(rest.len())]);
        self.at += newline.map_or(rest.len(), |newline| newline + 1);
        self.number = self.number.saturating_add(1);
        Some(Line { text, start, end: self.at, number: self.number })
    }
}

/// The first line that is longer than [`MAX_LINE`]: where it begins, and its length.
pub(super) fn too_long(source: &str) -> Option<(usize, usize)> {
    if source.len() <= MAX_LINE {
        return None;
    }
    let mut start = 0;
    for end in memchr::memchr_iter(b'\n', source.as_bytes()).chain([source.len()]) {
        if end - start > MAX_LINE {
            return Some((start, end - start));
        }
        start = end + 1;
    }
    None
}

/// An instruction on one line, and where its bytes stand in the source.
#[derive(Debug, Clone, Copy)]
pub(super) struct Logical<'a, 'source> {
    pub(super) text: &'a str,
    pub(super) source: &'source str,
    /// Where in the source it begins.
    start: usize,
    /// Where the lines begin that continue the first, here and in the source.
    pieces: &'a [(usize, usize)],
}

impl<'source> Logical<'_, 'source> {
    /// The byte of the source that a byte of the text is, or would be at the end of the text.
    pub(super) fn place(&self, at: usize) -> usize {
        let behind = self.pieces.partition_point(|&(start, _)| start <= at);
        let (start, source) = behind.checked_sub(1).map_or((0, self.start), |piece| self.pieces[piece]);
        source + (at - start)
    }

    /// The bytes of the source from which a part of the text was joined.
    pub(super) fn span(&self, at: usize, end: usize) -> Range<usize> {
        let start = self.place(at);
        start..end.checked_sub(1).map_or(start, |last| self.place(last) + 1)
    }

    /// A part of the text: the source's own, unless it was joined from several lines.
    pub(super) fn text(&self, part: Part<'_>) -> Text<'source> {
        if self.pieces.is_empty() {
            let start = self.start + part.at;
            return Cow::Borrowed(&self.source[start..start + part.text.len()]);
        }
        let span = self.span(part.at, part.at + part.text.len());
        match self.source.get(span) {
            Some(own) if own.len() == part.text.len() => Cow::Borrowed(own),
            _ => Cow::Owned(part.text.to_owned()),
        }
    }
}

/// Joins continued lines. Its buffers serve all the instructions of a file.
#[derive(Debug, Default)]
pub(super) struct Joiner {
    text: String,
    pieces: Vec<(usize, usize)>,
}

impl Joiner {
    /// The instruction that begins on a line. Reads the lines that continue it.
    ///
    /// Comments and empty lines between them are skipped, as they are upstream (`parser.Parse`).
    pub(super) fn join<'a, 'source: 'a>(
        &'a mut self,
        first: Line<'source>,
        lines: &mut Lines<'source>,
        escape: char,
    ) -> Logical<'a, 'source> {
        let text = trim_start(first.text);
        let start = first.start + (first.text.len() - text.len());
        let source = lines.source;
        let Some(continued) = without_continuation(text, escape) else {
            return Logical { text, source, start, pieces: &[] };
        };
        self.text.clear();
        self.pieces.clear();
        self.text.reserve(CONTINUED);
        self.pieces.reserve(CONTINUED / 64);
        self.text.push_str(continued);
        for line in lines {
            if matches!(trim_start(line.text).as_bytes().first(), None | Some(b'#')) {
                continue;
            }
            self.pieces.push((self.text.len(), line.start));
            match without_continuation(line.text, escape) {
                Some(continued) => self.text.push_str(continued),
                None => {
                    self.text.push_str(line.text);
                    break;
                }
            }
        }
        Logical { text: &self.text, source, start, pieces: &self.pieces }
    }
}

fn without_returns(line: &str) -> &str {
    if line.ends_with('\r') { line.trim_end_matches('\r') } else { line }
}

/// What stands before the character that continues a line on the next one. Two of them do not.
fn without_continuation(line: &str, escape: char) -> Option<&str> {
    // Either character is a byte.
    let escape = escape as u8;
    let bytes = line.as_bytes();
    let last = bytes.iter().rposition(|byte| !matches!(byte, b' ' | b'\t'))?;
    let is_one = bytes[last] == escape && !bytes[..last].ends_with(&[escape]);
    is_one.then(|| &line[..last])
}
