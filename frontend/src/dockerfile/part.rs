//! Parts of an instruction's joined text, which know where they stand in it.

use super::error::Fault;

/// A part of an instruction's joined text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part<'a> {
    pub(super) text: &'a str,
    /// Where it begins.
    pub(super) at: usize,
}

impl<'a> Part<'a> {
    pub(super) fn new(text: &'a str, at: usize) -> Self {
        Self { text, at }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// What begins at a byte of it.
    pub(super) fn skip(&self, bytes: usize) -> Self {
        Self { text: &self.text[bytes..], at: self.at + bytes }
    }

    pub(super) fn trim_start(&self) -> Self {
        self.skip(self.text.len() - self.text.trim_start().len())
    }

    pub(super) fn trim(&self) -> Self {
        let part = self.trim_start();
        Self { text: part.text.trim_end(), ..part }
    }

    /// The first word and what follows the blanks behind it, if there are any.
    pub(super) fn split_word(&self) -> (Self, Option<Self>) {
        let end = self.text.find(is_blank);
        let word = Self { text: &self.text[..end.unwrap_or(self.text.len())], at: self.at };
        let rest = end.map(|end| {
            let rest = self.skip(end);
            rest.skip(rest.text.len() - rest.text.trim_start_matches(is_blank).len())
        });
        (word, rest)
    }

    /// The words between blanks, whatever quotes there are.
    pub(super) fn words(self) -> impl Iterator<Item = Self> {
        let mut rest = (!self.is_empty()).then_some(self);
        std::iter::from_fn(move || {
            let (word, behind) = rest?.split_word();
            rest = behind;
            Some(word)
        })
    }

    pub(super) fn fault(&self, message: impl Into<String>) -> Fault {
        Fault::new(self.at, message)
    }
}

/// Whether a character parts words. There is more white space than that, which only the ends of a text lose.
pub(super) fn is_blank(c: char) -> bool {
    matches!(c, '\t' | '\u{b}' | '\u{c}' | '\r' | ' ')
}
