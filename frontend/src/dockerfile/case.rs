//! Upper and lower case as Go's `strings` knows them: one character becomes one, which a few beyond ASCII make ASCII.

use std::borrow::Cow;

/// `strings.ToLower`.
pub(super) fn lower(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase()) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().map(lower_char).collect())
}

/// Whether a word is this lower-case ASCII word once it is in lower case itself.
pub(super) fn lower_is(word: &str, ascii: &str) -> bool {
    word.chars().map(lower_char).eq(ascii.chars())
}

/// Whether a word is this upper-case ASCII word once it is in upper case itself.
pub(super) fn upper_is(word: &str, ascii: &str) -> bool {
    let upper = |c: char| match c {
        'ı' => 'I',
        'ſ' => 'S',
        c => c.to_ascii_uppercase(),
    };
    word.chars().map(upper).eq(ascii.chars())
}

fn lower_char(c: char) -> char {
    match c {
        // Where Unicode's full mapping has two characters.
        'İ' => 'i',
        c if c.is_ascii() => c.to_ascii_lowercase(),
        c => c.to_lowercase().next().unwrap_or(c),
    }
}
