//! `<<NAME` in an instruction, and the lines behind it.

use super::instruction::Heredoc;
use super::lex::{ExpandError, Keep, Lexer};
use super::lines::Lines;
use super::span::Span;

/// A word that announces a heredoc.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Announced {
    pub(super) name: String,
    pub(super) expand: bool,
    pub(super) chomp: bool,
}

/// Where the first `<<` of a text is.
pub(super) fn sign(text: &str) -> Option<usize> {
    memchr::memchr_iter(b'<', text.as_bytes()).find(|&at| text[at + 1..].starts_with('<'))
}

/// The heredocs that an instruction announces, in order.
///
/// A text that a shell could not part into words announces none. Whatever the file's escape character is, here it is
/// the backslash, as upstream (`parser.heredocsFromLine`).
pub(super) fn announced(text: &str) -> Result<Vec<Announced>, ExpandError> {
    let keep = Keep { quotes: true, escapes: true, unset: true };
    let Ok(words) = Lexer::new(text, '\\', keep, &|_| None).words() else { return Ok(Vec::new()) };
    words.iter().filter_map(|word| word_of(word).transpose()).collect()
}

/// The heredoc that a word announces.
pub(super) fn word_of(word: &str) -> Result<Option<Announced>, ExpandError> {
    let Some(rest) = word.trim_start_matches(|c: char| c.is_ascii_digit()).strip_prefix("<<") else {
        return Ok(None);
    };
    let (rest, chomp) = match rest.strip_prefix('-') {
        Some(rest) => (rest, true),
        None => (rest, false),
    };
    let rest = rest.trim_start_matches(['\t', '\n', '\u{c}', '\r', ' ']);
    if rest.is_empty() || rest.contains('<') {
        return Ok(None);
    }
    let keep = Keep { unset: true, ..Keep::default() };
    let words = Lexer::new(rest, '\\', keep, &|_| None).words()?;
    let [name] = &words[..] else { return Ok(None) };
    let raw = Lexer::new(rest, '\\', Keep { quotes: true, ..keep }, &|_| None).words()?;
    let quotes = |text: &str| text.matches(['\'', '"']).count();
    let [raw] = &raw[..] else { return Ok(None) };
    Ok(Some(Announced { name: name.clone(), expand: quotes(name) == quotes(raw), chomp }))
}

/// Reads the lines of a heredoc, and the one that ends it. `None` if there is none.
pub(super) fn read(announced: &Announced, lines: &mut Lines<'_>) -> Option<Heredoc> {
    let start = lines.at();
    loop {
        let end = lines.at();
        let line = lines.next()?;
        let text = if announced.chomp { line.text.trim_start_matches('\t') } else { line.text };
        if text == announced.name {
            let Announced { name, expand, chomp } = announced.clone();
            return Some(Heredoc { name, expand, chomp, content: Span::from(start..end) });
        }
    }
}
