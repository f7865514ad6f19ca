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
    let escape = escape as u8;
    let mut quote = None;
    let mut is_escaped = false;
    let mut end = text.len();
    for (at, byte) in text.bytes().enumerate() {
        if is_escaped {
            is_escaped = false;
        } else if byte == escape && quote != Some(b'\'') {
            is_escaped = true;
        } else if quote == Some(byte) {
            quote = None;
        } else if quote.is_none() {
            if is_space(text, at, byte) {
                end = at;
                break;
            }
            if matches!(byte, b'\'' | b'"') {
                quote = Some(byte);
            }
        }
    }
    let kept = end - usize::from(is_escaped);
    (&text[..kept], end)
}

/// Whether white space begins here.
fn is_space(text: &str, at: usize, byte: u8) -> bool {
    match byte {
        0..0x80 => char::from(byte).is_whitespace(),
        _ => text.get(at..).is_some_and(|text| text.starts_with(char::is_whitespace)),
    }
}
