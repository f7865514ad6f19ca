//! Words with their quotes and escapes still in them, of `ENV`, `LABEL` and `ARG`.

use super::part::Part;

/// The words of a text. White space in quotes or behind the escape character parts none.
pub(super) fn quoted(text: Part<'_>, escape: char) -> impl Iterator<Item = Part<'_>> {
    let mut rest = text.trim_start();
    std::iter::from_fn(move || {
        loop {
            if rest.is_empty() {
                return None;
            }
            let (word, length) = word(rest.text, escape);
            let word = Part::new(word, rest.at);
            rest = rest.skip(length).trim_start();
            if !word.is_empty() {
                return Some(word);
            }
        }
    })
}

/// The word that a text begins with, and its length. An escape character at the very end is dropped.
fn word(text: &str, escape: char) -> (&str, usize) {
    let mut quote = None;
    let mut is_escaped = false;
    let mut end = text.len();
    for (at, c) in text.char_indices() {
        if is_escaped {
            is_escaped = false;
        } else if c == escape && quote != Some('\'') {
            is_escaped = true;
        } else if quote == Some(c) {
            quote = None;
        } else if quote.is_none() {
            if c.is_whitespace() {
                end = at;
                break;
            }
            if matches!(c, '\'' | '"') {
                quote = Some(c);
            }
        }
    }
    let kept = if is_escaped { end - escape.len_utf8() } else { end };
    (&text[..kept], end)
}
