//! Command lines as others are told of them: without the secrets in them. They stand in records that neighbours read, and in their logs.

/// Flags of `docker run` and `docker buildx build` whose values have secrets in them, by their long and short names.
const PRIVATE: &[(&str, &str)] = &[
    ("annotation", ""),
    ("build-arg", ""),
    ("build-context", ""),
    ("cache-from", ""),
    ("cache-to", ""),
    ("env", "e"),
    ("label", "l"),
    ("log-opt", ""),
    ("mount", ""),
    ("secret", ""),
    ("storage-opt", ""),
];

/// Whether others are not told the values of this flag.
pub(crate) fn is_private(name: &[u8]) -> bool {
    PRIVATE.iter().any(|(long, _)| long.as_bytes() == name)
}

/// As [`is_private`], by the short name.
pub(crate) fn is_private_letter(letter: u8) -> bool {
    PRIVATE.iter().any(|(_, short)| short.as_bytes() == [letter])
}

/// `NAME=VALUE` without the value. A word without one is the name of a variable, or of an image, and stays.
pub(crate) fn without_value(word: &str) -> String {
    word.split_once('=').map_or_else(|| word.to_owned(), |(name, _)| format!("{name}=…"))
}

/// The text without the users and passwords of addresses in it: `https://…@host/path`.
pub(super) fn without_logins(text: &str) -> String {
    const BEGIN: &str = "://";
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(BEGIN) {
        let (before, after) = rest.split_at(at + BEGIN.len());
        shown.push_str(before);
        let end = after.find(|c: char| c.is_whitespace() || "/?#,'\"".contains(c)).unwrap_or(after.len());
        rest = match after[..end].rfind('@') {
            Some(login) => {
                shown.push('…');
                &after[login..]
            }
            None => after,
        };
    }
    shown + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_told_without_its_login() {
        let same = |text: &str| assert_eq!(without_logins(text), text);
        assert_eq!(
            without_logins("build https://user:p@ss@host/a@b.git#main x://t@h"),
            "build https://…@host/a@b.git#main x://…@h"
        );
        same("git@host:a https://host/a@b");
        same("://");
    }

    #[test]
    fn a_value_goes_and_its_name_stays() {
        assert_eq!(without_value("TOKEN=a=b"), "TOKEN=…");
        assert_eq!(without_value("TOKEN"), "TOKEN");
    }
}
