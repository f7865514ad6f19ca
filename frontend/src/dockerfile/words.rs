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
    let bytes = text.as_bytes();
    let mut quote = None;
    let mut at = 0;
    loop {
        at += bytes[at..].iter().take_while(|&&byte| is_plain(byte, escape)).count();
        let Some(&byte) = bytes.get(at) else { return (text, text.len()) };
        if byte == escape && quote != Some(b'\'') {
            if at + 1 == bytes.len() {
                return (&text[..at], text.len());
            }
            // What is escaped says nothing.
            at += 1;
        } else if quote == Some(byte) {
            quote = None;
        } else if quote.is_none() {
            if is_space(text, at, byte) {
                return (&text[..at], at);
            }
            if matches!(byte, b'\'' | b'"') {
                quote = Some(byte);
            }
        }
        at += 1;
    }
}

/// Whether a byte neither ends a word nor says how to read the next one.
fn is_plain(byte: u8, escape: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'\'' | b'"') && byte != escape
}

/// Whether white space begins here.
fn is_space(text: &str, at: usize, byte: u8) -> bool {
    match byte {
        0..0x80 => char::from(byte).is_whitespace(),
        _ => text.get(at..).is_some_and(|text| text.starts_with(char::is_whitespace)),
    }
}
