//! Patterns for paths, as `.gitignore` has them.

use std::fmt;
use std::str::FromStr;

use crate::glob;

/// A pattern: `*` is any text within a name, `?` one byte of it, `**` any number of names. One without a slash means a name at any
/// depth; one with a slash, other than at its end, a path from the directory that is swept. What is in a directory that is meant is
/// meant too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    /// Between the slashes.
    names: Vec<Name>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Name {
    /// `**`
    Any,
    Like(Vec<u8>),
}

/// Why text is no pattern.
#[derive(Debug, thiserror::Error)]
#[error("write a name or a path, such as *.lock, .locks or build/**/*.o")]
pub struct PatternError;

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let trimmed = text.trim_end_matches('/');
        let path = trimmed.trim_start_matches('/');
        if path.is_empty() {
            return Err(PatternError);
        }
        let name = |name: &str| if name == "**" { Name::Any } else { Name::Like(name.as_bytes().to_vec()) };
        let mut names: Vec<Name> = path.split('/').filter(|name| !name.is_empty()).map(name).collect();
        if !trimmed.contains('/') {
            names.insert(0, Name::Any);
        }
        names.dedup_by(|a, b| *a == Name::Any && a == b);
        Ok(Self { text: text.into(), names })
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Pattern {
    /// Whether it means this path, or a directory that this is in.
    pub fn has(&self, path: &[u8]) -> bool {
        let names: Vec<&[u8]> = path.split(|&byte| byte == b'/').collect();
        has_start(&self.names, &names)
    }
}

/// Whether some start of the names is like the pattern. Each `**` need only be tried with the fewest names that let what follows it
/// match: at most pattern times names steps.
fn has_start(pattern: &[Name], names: &[&[u8]]) -> bool {
    let (mut p, mut n, mut star) = (0, 0, None);
    loop {
        match pattern.get(p) {
            None => return true,
            // At the end it is one name or more.
            Some(Name::Any) if p + 1 == pattern.len() => return n < names.len(),
            Some(Name::Any) => {
                star = Some((p, n));
                p += 1;
            }
            Some(Name::Like(like)) if names.get(n).is_some_and(|name| glob::matches(like, name)) => {
                (p, n) = (p + 1, n + 1);
            }
            Some(Name::Like(_)) => match star {
                Some((at, from)) if from < names.len() => {
                    (p, n) = (at + 1, from + 1);
                    star = Some((at, from + 1));
                }
                _ => return false,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn patterns_mean_what_users_of_gitignore_expect() {
        let has = |pattern: &str, path: &str| pattern.parse::<Pattern>().unwrap().has(path.as_bytes());
        assert!(has("*.lock", "a.lock") && has("*.lock", "a/b/c.lock") && !has("*.lock", "a.lock2"));
        assert!(has(".locks", ".locks/a/b"), "what is in it");
        assert!(has(".locks/", "a/.locks/b") && !has("locks", ".locks/b"));
        assert!(has("a/*.o", "a/b.o") && !has("a/*.o", "a/b/c.o") && !has("a/*.o", "x/a/b.o"));
        assert!(has("/a", "a") && has("/a", "a/b") && !has("/a", "x/a"));
        assert!(has("a/**/b", "a/b") && has("a/**/b", "a/x/y/b") && !has("a/**/b", "b"));
        assert!(has("**/x/*", "a/x/b") && has("a/**", "a/b/c") && !has("a/**", "a"));
        assert!(has("?", "a") && !has("?", "ab"));
        assert!("".parse::<Pattern>().is_err() && "/".parse::<Pattern>().is_err());
        assert!("\u{fc}*".parse::<Pattern>().unwrap().has(b"\xc3\xbc\xff\n"), "any bytes");
    }

    proptest! {
        #[test]
        fn matching_agrees_with_its_definition(pattern in "([ab*?]{1,3}|\\*\\*)(/([ab*?]{1,3}|\\*\\*)){0,3}", path in "[ab]{1,3}(/[ab]{1,3}){0,4}") {
            fn name(pattern: &[u8], text: &[u8]) -> bool {
                match (pattern, text) {
                    ([], []) => true,
                    ([b'*', rest @ ..], _) => (0..=text.len()).any(|cut| name(rest, &text[cut..])),
                    ([b'?', rest @ ..], [_, tail @ ..]) => name(rest, tail),
                    ([c, rest @ ..], [d, tail @ ..]) => c == d && name(rest, tail),
                    _ => false,
                }
            }
            fn model(pattern: &[&str], names: &[&str]) -> bool {
                match (pattern, names) {
                    ([], _) => true,
                    (["**"], names) => !names.is_empty(),
                    (["**", rest @ ..], _) => (0..=names.len()).any(|cut| model(rest, &names[cut..])),
                    ([first, rest @ ..], [head, tail @ ..]) => {
                        name(first.as_bytes(), head.as_bytes()) && model(rest, tail)
                    }
                    _ => false,
                }
            }
            let mut names: Vec<&str> = pattern.split('/').collect();
            if names.len() == 1 {
                names.insert(0, "**");
            }
            let path_names: Vec<&str> = path.split('/').collect();
            prop_assert_eq!(pattern.parse::<Pattern>().unwrap().has(path.as_bytes()), model(&names, &path_names));
        }
    }
}
