//! Comments, outside of any instruction.

use super::part::trim_start;

/// A comment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Comment<'a> {
    /// Without `#` and white space around it. Where it is indented, the `#` is still there, as upstream, which takes off a
    /// character and then white space.
    pub text: &'a str,
    /// Its line, from 1.
    pub line: u32,
}

/// The comments above an instruction, from top to bottom.
#[derive(Debug, Clone)]
pub struct Comments<'a> {
    rest: &'a str,
    line: u32,
}

impl<'a> Comments<'a> {
    /// Of the comments and blank lines between two instructions, those that belong to the second, which begins in the line
    /// `below`: an empty one parts it from what is above.
    pub(super) fn between(lines: &'a str, below: u32) -> Self {
        let height = memchr::memchr_iter(b'\n', lines.as_bytes()).count();
        let first = below.saturating_sub(u32::try_from(height).unwrap_or(u32::MAX));
        let mut comments = Self { rest: lines, line: first };
        let mut own = comments.clone();
        while let Some(comment) = comments.next() {
            if comment.text.is_empty() {
                own = comments.clone();
            }
        }
        own
    }
}

impl<'a> Iterator for Comments<'a> {
    type Item = Comment<'a>;

    fn next(&mut self) -> Option<Comment<'a>> {
        loop {
            if self.rest.is_empty() {
                return None;
            }
            let (text, rest) = self.rest.split_once('\n').unwrap_or((self.rest, ""));
            let line = self.line;
            (self.rest, self.line) = (rest, line.saturating_add(1));
            if trim_start(text).starts_with('#') {
                return Some(Comment { text: text.strip_prefix('#').unwrap_or(text).trim(), line });
            }
        }
    }
}
