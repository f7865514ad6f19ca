//! What others wrote may hold anything; what we print is one line.

use std::fmt::Write as _;

/// A text with its control characters, line ends among them, escaped.
pub(super) fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            // Writing to a string does not fail.
            let _ = write!(plain, "{}", c.escape_default());
        } else {
            plain.push(c);
        }
    }
    plain
}

/// A text of at most so many characters, white space folded.
pub(super) fn short(text: &str, most: usize) -> String {
    let mut short = String::new();
    let mut length = 0;
    for word in text.split_whitespace() {
        let gap = usize::from(length > 0);
        for c in [' '].into_iter().take(gap).chain(word.chars()) {
            if length + 1 == most {
                short.push('…');
                return short;
            }
            short.push(if c.is_control() { '\u{fffd}' } else { c });
            length += 1;
        }
    }
    short
}
