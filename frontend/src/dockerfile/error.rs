//! What is wrong with a Dockerfile's text, and where.

/// A Dockerfile that cannot be read.
///
/// It names no file: who has opened one puts the name in front, which makes `Dockerfile:3:5: …` of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: {message}")]
pub struct SyntaxError {
    /// The line, from 1.
    pub line: u32,
    /// The column, from 1, in characters. The mark at the beginning of some files (BOM) is none.
    pub column: u32,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl SyntaxError {
    /// The error at a byte of the source. What stands before it must be valid UTF-8.
    pub(super) fn at(source: &[u8], offset: usize, message: impl Into<String>) -> Self {
        let before = &source[..offset.min(source.len())];
        let start = memchr::memrchr(b'\n', before).map_or(0, |newline| newline + 1);
        let mut line = &before[start..];
        if start == 0 {
            line = line.strip_prefix(super::lines::BOM.as_bytes()).unwrap_or(line);
        }
        Self {
            line: count(memchr::memchr_iter(b'\n', before).count()),
            column: count(String::from_utf8_lossy(line).chars().count()),
            message: shown(&message.into()),
            help: None,
        }
    }

    pub(super) fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(shown(&help.into()));
        self
    }
}

/// A message that quotes the file, fit for a terminal: without control characters and what cannot be seen, and short.
fn shown(message: &str) -> String {
    const LONGEST: usize = 200;
    let mut shown = String::with_capacity(message.len().min(4 * LONGEST));
    for (index, c) in message.chars().enumerate() {
        match c {
            _ if index == LONGEST => {
                shown.push('…');
                break;
            }
            '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' => {
                shown.extend(c.escape_unicode());
            }
            c if c.is_control() => shown.extend(c.escape_default()),
            c => shown.push(c),
        }
    }
    shown
}

/// What comes after so many.
fn count(before: usize) -> u32 {
    u32::try_from(before).unwrap_or(u32::MAX).saturating_add(1)
}

/// A fault in an instruction, at a byte of its joined text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) at: usize,
    pub(super) message: String,
    pub(super) help: Option<String>,
}

impl Fault {
    pub(super) fn new(at: usize, message: impl Into<String>) -> Self {
        Self { at, message: message.into(), help: None }
    }

    pub(super) fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}
