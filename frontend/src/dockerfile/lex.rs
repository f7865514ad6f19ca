//! Quotes, escapes and variables, as BuildKit's shell lexer reads them (`shell/lex.go`).

use std::collections::BTreeSet;

use super::pattern::{Budget, Pattern};

/// How deep `${a:-${b:-…}}` may nest. BuildKit sets no limit.
const MAX_DEPTH: usize = 64;

/// How much longer than what goes in a text may come out, in bytes. BuildKit sets no limit, and `ENV A=$A$A` doubles.
const MAX_GROWTH: usize = 1 << 20;

/// Why a word cannot be expanded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum ExpandError {
    #[error("quote {0} is never closed")]
    UnclosedQuote(char),
    #[error("`${{` without the `}}` that ends it")]
    MissingBrace,
    #[error("`${{…/` without the `/` that ends its pattern")]
    MissingSlash,
    #[error("no variable's name between `${{` and `{0}`")]
    BadSubstitution(char),
    #[error("unknown modifier `{0}` in `${{…}}`")]
    Modifier(String),
    #[error("{name}: {message}")]
    Unset { name: String, message: String },
    #[error("bad pattern `{pattern}`: `\\{escaped}` is no escape")]
    Pattern { pattern: String, escaped: String },
    #[error("variables nest deeper than {MAX_DEPTH} times")]
    TooDeep,
    #[error("the text grows by more than {MAX_GROWTH} bytes")]
    TooLong,
    #[error("the pattern takes too long to match")]
    TooCostly,
}

/// What stays as it was.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Keep {
    /// Quotes.
    pub(super) quotes: bool,
    /// Escape characters.
    pub(super) escapes: bool,
    /// Variables that are not set.
    pub(super) unset: bool,
}

/// Reads a text once, from left to right.
pub(super) struct Lexer<'a> {
    text: &'a str,
    at: usize,
    escape: char,
    keep: Keep,
    lookup: &'a dyn Fn(&str) -> Option<String>,
    missing: BTreeSet<String>,
    /// The word that is being read. A `${…}` with a text of its own empties it, as upstream, where they share a buffer.
    word: String,
    depth: usize,
    budget: Budget,
}

/// Whether white space in what was read parts words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Parts {
    Yes,
    No,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(
        text: &'a str,
        escape: char,
        keep: Keep,
        lookup: &'a dyn Fn(&str) -> Option<String>,
    ) -> Self {
        Self {
            // Go's scanner skips the mark.
            text: text.strip_prefix('\u{feff}').unwrap_or(text),
            at: 0,
            escape,
            keep,
            lookup,
            missing: BTreeSet::new(),
            word: String::new(),
            depth: 0,
            budget: Budget::default(),
        }
    }

    /// The whole text as one word, and the variables that were looked up and not found.
    pub(super) fn whole(mut self) -> Result<(String, BTreeSet<String>), ExpandError> {
        let mut out = String::new();
        while let Some(c) = self.peek() {
            self.piece(c, &mut out)?;
        }
        Ok((out, self.missing))
    }

    /// The words that the text is parted into by the white space that is neither quoted nor escaped.
    pub(super) fn words(mut self) -> Result<Vec<String>, ExpandError> {
        let mut words = Vec::new();
        let mut piece = String::new();
        while let Some(c) = self.peek() {
            piece.clear();
            if self.piece(c, &mut piece)? == Parts::No {
                self.word.push_str(&piece);
                continue;
            }
            for c in piece.chars() {
                if !c.is_whitespace() {
                    self.word.push(c);
                } else if !self.word.is_empty() {
                    words.push(std::mem::take(&mut self.word));
                }
            }
        }
        if !self.word.is_empty() {
            words.push(self.word);
        }
        Ok(words)
    }

    /// What stands up to a character, which is read too.
    fn until(&mut self, stop: char, keep_escapes: bool) -> Result<String, ExpandError> {
        if self.depth == MAX_DEPTH {
            return Err(ExpandError::TooDeep);
        }
        self.depth += 1;
        self.word.clear();
        let outer = std::mem::replace(&mut self.keep.escapes, keep_escapes);
        let mut out = String::new();
        while let Some(c) = self.peek() {
            if c == stop {
                self.next();
                self.word.clear();
                self.keep.escapes = outer;
                self.depth -= 1;
                return Ok(out);
            }
            self.piece(c, &mut out)?;
        }
        Err(if stop == '/' { ExpandError::MissingSlash } else { ExpandError::MissingBrace })
    }

    /// Reads a character, a quoted text or a variable.
    fn piece(&mut self, c: char, out: &mut String) -> Result<Parts, ExpandError> {
        match c {
            '\'' => self.single_quoted(out)?,
            '"' => self.double_quoted(out)?,
            '$' => {
                self.put_variable(out)?;
                return Ok(Parts::Yes);
            }
            '<' => self.angle(out),
            c if c == self.escape => {
                self.next();
                if self.keep.escapes {
                    out.push(c);
                }
                out.extend(self.next());
            }
            c => {
                self.next();
                out.push(c);
                return Ok(Parts::Yes);
            }
        }
        Ok(Parts::No)
    }

    fn single_quoted(&mut self, out: &mut String) -> Result<(), ExpandError> {
        let Some(end) = self.text[self.at + 1..].find('\'') else {
            self.at = self.text.len();
            return Err(ExpandError::UnclosedQuote('\''));
        };
        let range =
            if self.keep.quotes { self.at..self.at + end + 2 } else { self.at + 1..self.at + end + 1 };
        out.push_str(&self.text[range]);
        self.at += end + 2;
        Ok(())
    }

    fn double_quoted(&mut self, out: &mut String) -> Result<(), ExpandError> {
        self.next();
        if self.keep.quotes {
            out.push('"');
        }
        loop {
            match self.peek().ok_or(ExpandError::UnclosedQuote('"'))? {
                '"' => {
                    self.next();
                    if self.keep.quotes {
                        out.push('"');
                    }
                    return Ok(());
                }
                '$' => self.put_variable(out)?,
                c if c == self.escape => {
                    self.next();
                    if self.keep.escapes {
                        out.push(c);
                    }
                    match self.peek() {
                        // Dropped at the end; the quote is missing anyway.
                        None => {}
                        Some(escaped) if escaped == '"' || escaped == '$' || escaped == self.escape => {
                            self.next();
                            out.push(escaped);
                        }
                        // Before anything else it stays.
                        Some(_) => out.push(c),
                    }
                }
                c => {
                    self.next();
                    out.push(c);
                }
            }
        }
    }

    /// `<<` keeps the white space behind it, so that it stays one word with the name of a heredoc.
    fn angle(&mut self, out: &mut String) {
        let start = self.at;
        self.next();
        if self.peek() == Some('<') {
            self.next();
            while matches!(self.peek(), Some('\t' | '\r' | ' ')) {
                self.next();
            }
        }
        out.push_str(&self.text[start..self.at]);
    }

    fn put_variable(&mut self, out: &mut String) -> Result<(), ExpandError> {
        let value = self.variable()?;
        if out.len() + value.len() > self.text.len() + MAX_GROWTH {
            return Err(ExpandError::TooLong);
        }
        out.push_str(&value);
        Ok(())
    }

    fn variable(&mut self) -> Result<String, ExpandError> {
        self.next();
        if self.peek() != Some('{') {
            let name = self.name();
            if name.is_empty() {
                return Ok("$".to_owned());
            }
            return Ok(match self.get(name) {
                None if self.keep.unset => format!("${name}"),
                value => value.unwrap_or_default(),
            });
        }
        self.next();
        match self.peek() {
            None => return Err(ExpandError::MissingBrace),
            Some(c @ ('{' | '}' | ':')) => return Err(ExpandError::BadSubstitution(c)),
            Some(_) => {}
        }
        let name = self.name();
        match self.next() {
            None => Err(ExpandError::MissingBrace),
            Some('}') => Ok(match self.get(name) {
                None if self.keep.unset => format!("${{{name}}}"),
                value => value.unwrap_or_default(),
            }),
            Some('/') => self.replace(name),
            Some(':') => {
                let modifier = self.next().ok_or(ExpandError::MissingBrace)?;
                self.modified(name, modifier, true)
            }
            Some(modifier @ ('+' | '-' | '?' | '#' | '%')) => self.modified(name, modifier, false),
            Some(other) => Err(ExpandError::Modifier(other.to_string())),
        }
    }

    /// `${name-word}` and its like. With a colon, a variable that is empty counts as not set.
    fn modified(&mut self, name: &str, modifier: char, colon: bool) -> Result<String, ExpandError> {
        let shown = if colon { format!(":{modifier}") } else { modifier.to_string() };
        let is_pattern = matches!(modifier, '#' | '%');
        if colon && is_pattern {
            return Err(ExpandError::Modifier(shown));
        }
        let word = self.within('}', is_pattern, ExpandError::MissingBrace)?;
        let value = self.get(name);
        if value.is_none() && self.keep.unset {
            return Ok(format!("${{{name}{shown}{word}}}"));
        }
        let is_unset = value.as_deref().is_none_or(|value| colon && value.is_empty());
        match modifier {
            '-' if is_unset => Ok(word),
            '+' if is_unset => Ok(String::new()),
            '+' => Ok(word),
            '?' if is_unset => {
                let usual = if value.is_some() { "must not be empty" } else { "must be set" };
                let message = if word.is_empty() { usual.to_owned() } else { word };
                Err(ExpandError::Unset { name: name.to_owned(), message })
            }
            '-' | '?' => Ok(value.unwrap_or_default()),
            '#' | '%' => {
                let value = value.unwrap_or_default();
                let (word, greedy) = match word.strip_prefix(modifier) {
                    Some(word) => (word, true),
                    None => (word.as_str(), false),
                };
                if modifier == '#' {
                    Pattern::read(word)?.without_prefix(&value, greedy, &mut self.budget)
                } else {
                    Pattern::read_reversed(word)?.without_suffix(&value, greedy, &mut self.budget)
                }
            }
            _ => Err(ExpandError::Modifier(shown)),
        }
    }

    /// `${name/pattern/replacement}`; with two slashes in front every match is replaced.
    fn replace(&mut self, name: &str) -> Result<String, ExpandError> {
        let all = self.peek() == Some('/');
        if all {
            self.next();
        }
        let pattern = self.within('/', true, ExpandError::MissingSlash)?;
        let replacement = self.within('}', true, ExpandError::MissingBrace)?;
        let value = self.get(name);
        if value.is_none() && self.keep.unset {
            return Ok(format!("${{{name}/{pattern}/{replacement}}}"));
        }
        // An empty pattern is found in what is not set, too.
        let value = value.unwrap_or_default();
        Pattern::read(&pattern)?.replace(&value, &replacement, all, &mut self.budget)
    }

    /// [`Self::until`], where whatever goes wrong at the end of the text is that the stop is missing.
    fn within(&mut self, stop: char, escapes: bool, missing: ExpandError) -> Result<String, ExpandError> {
        self.until(stop, escapes).map_err(|error| if self.peek().is_none() { missing } else { error })
    }

    /// A variable's name: letters, digits and underscores, digits alone, or one of the shell's special parameters.
    fn name(&mut self) -> &'a str {
        let rest = &self.text[self.at..];
        let length = match rest.chars().next() {
            Some(c) if c.is_ascii_digit() => rest.find(|c: char| !c.is_ascii_digit()),
            Some('@' | '*' | '#' | '?' | '-' | '$' | '!') => Some(1),
            _ => rest.find(|c: char| !c.is_alphanumeric() && c != '_'),
        };
        let name = &rest[..length.unwrap_or(rest.len())];
        self.at += name.len();
        name
    }

    fn get(&mut self, name: &str) -> Option<String> {
        let value = (self.lookup)(name);
        if value.is_none() {
            self.missing.insert(name.to_owned());
        }
        value
    }

    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }
}
