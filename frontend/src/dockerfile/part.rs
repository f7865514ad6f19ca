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
        self.skip(self.text.len() - trim_start(self.text).len())
    }

    pub(super) fn trim(&self) -> Self {
        let part = self.trim_start();
        Self { text: trim_end(part.text), ..part }
    }

    /// The first word and what follows the blanks behind it, if there are any.
    pub(super) fn split_word(&self) -> (Self, Option<Self>) {
        let bytes = self.text.as_bytes();
        let Some(end) = bytes.iter().position(|&byte| is_blank(byte)) else { return (*self, None) };
        let blanks = bytes[end..].iter().take_while(|&&byte| is_blank(byte)).count();
        (Self { text: &self.text[..end], at: self.at }, Some(self.skip(end + blanks)))
    }

    /// A name and its value, if there is a `=` between them.
    pub(super) fn split_value(&self) -> Option<(Self, Self)> {
        let equals = self.text.bytes().position(|byte| byte == b'=')?;
        Some((Self { text: &self.text[..equals], at: self.at }, self.skip(equals + 1)))
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
fn is_blank(byte: u8) -> bool {
    matches!(byte, b'\t' | b'\x0b' | b'\x0c' | b'\r' | b' ')
}

/// [`str::trim_start`], quick where there is nothing to trim or only blanks.
pub(super) fn trim_start(text: &str) -> &str {
    let blanks = text.bytes().take_while(|&byte| is_blank(byte)).count();
    let text = &text[blanks..];
    match text.as_bytes().first() {
        Some(b'!'..=b'~') => text,
        _ => text.trim_start(),
    }
}

/// [`str::trim_end`], quick where there is nothing to trim.
pub(super) fn trim_end(text: &str) -> &str {
    match text.as_bytes().last() {
        Some(b'!'..=b'~') => text,
        _ => text.trim_end(),
    }
}
