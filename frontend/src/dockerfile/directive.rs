//! Parser directives: comments at the very top that say how to read the rest.

use super::case;
use super::lines::Line;
use super::span::Span;

/// `# syntax=…`, `# escape=…` or `# check=…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directive<'a> {
    /// Which one.
    pub name: DirectiveName,
    /// As it was written, without white space around it.
    pub value: &'a str,
    /// Its bytes, with the end of its line.
    pub span: Span,
    /// Its line, from 1.
    pub line: u32,
}

/// The directives that there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum DirectiveName {
    Syntax,
    Escape,
    Check,
}

impl DirectiveName {
    const ALL: [Self; 3] = [Self::Syntax, Self::Escape, Self::Check];

    /// The word, in lower case.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Syntax => "syntax",
            Self::Escape => "escape",
            Self::Check => "check",
        }
    }
}

/// Reads directives until the first line that is none.
#[derive(Debug)]
pub(super) struct Directives<'a> {
    /// Whether a line was read that is none: there will be no more.
    pub(super) are_over: bool,
    pub(super) read: Vec<Directive<'a>>,
    /// The character that escapes and continues lines.
    pub(super) escape: char,
}

impl Default for Directives<'_> {
    fn default() -> Self {
        Self { are_over: false, read: Vec::new(), escape: '\\' }
    }
}

impl<'a> Directives<'a> {
    /// Reads a line, all the lines before being directives. Whether it is one too.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub(super) fn read(&mut self, line: &Line<'a>) -> Result<bool, String> {
        let Some((name, value)) = split(line.text.trim_start()) else {
            self.are_over = true;
            return Ok(false);
        };
        if self.read.iter().any(|before| before.name == name) {
            return Err(format!("directive `{}` is given twice", name.name()));
        }
        if name == DirectiveName::Escape {
            self.escape = match value {
                "\\" => '\\',
                "`" => '`',
                other => return Err(format!("escape character must be \\ or `, not `{other}`")),
            };
        }
        let span = Span::from(line.start..line.end);
        self.read.push(Directive { name, value, span, line: line.number });
        Ok(true)
    }
}

/// `# name = value` of a directive that there is.
fn split(line: &str) -> Option<(DirectiveName, &str)> {
    let (name, value) = line.strip_prefix('#')?.split_once('=')?;
    let name = name.trim_start().trim_end_matches(is_space);
    let is_it = |known: &DirectiveName| name.is_ascii() && case::lower_is(name, known.name());
    let name = DirectiveName::ALL.into_iter().find(is_it)?;
    let bare = value.trim_matches(is_space);
    // White space alone is a value too, its last character.
    let bare = if bare.is_empty() { &value[value.len().checked_sub(1)?..] } else { bare };
    Some((name, bare))
}

/// `\s` of a regular expression in Go.
fn is_space(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\u{c}' | '\r' | ' ')
}
