//! Comments, outside of any instruction.

use super::part::trim_start;

/// The comments above an instruction, from top to bottom, without `#` and white space around them.
///
/// Where one is indented, the `#` is still there, as upstream, which takes off a character and then white space.
#[derive(Debug, Clone)]
pub struct Comments<'a> {
    rest: &'a str,
}

impl<'a> Comments<'a> {
    /// Of the comments and blank lines between two instructions, those that belong to the second: an empty one parts it
    /// from what is above.
    pub(super) fn between(lines: &'a str) -> Self {
        let mut comments = Self { rest: lines };
        let mut own = comments.clone();
        while let Some(comment) = comments.next() {
            if comment.is_empty() {
                own = comments.clone();
            }
        }
        own
    }
}

impl<'a> Iterator for Comments<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        loop {
            if self.rest.is_empty() {
                return None;
            }
            let (line, rest) = self.rest.split_once('\n').unwrap_or((self.rest, ""));
            self.rest = rest;
            if trim_start(line).starts_with('#') {
                return Some(line.strip_prefix('#').unwrap_or(line).trim());
            }
        }
    }
}
