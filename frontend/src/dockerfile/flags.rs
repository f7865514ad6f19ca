//! `--name=value` between an instruction's keyword and the rest.

use std::borrow::Cow;
use std::ops::Range;

use super::error::Fault;
use super::instruction::Keyword;
use super::part::Part;

/// A flag as it stands in the joined text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RawFlag<'a> {
    pub(super) name: Cow<'a, str>,
    pub(super) value: Option<Cow<'a, str>>,
    pub(super) at: usize,
    pub(super) end: usize,
}

/// What a flag takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Takes {
    /// `true`, `false` or nothing.
    Bool,
    /// A value, once.
    Text,
    /// A value, as often as you like.
    List,
}

/// The flags that an instruction knows. `None` where BuildKit does not look at them.
fn known(keyword: Keyword) -> Option<&'static [(&'static str, Takes)]> {
    Some(match keyword {
        Keyword::Add => &[
            ("checksum", Takes::Text),
            ("chmod", Takes::Text),
            ("chown", Takes::Text),
            ("exclude", Takes::List),
            ("keep-git-dir", Takes::Bool),
            ("link", Takes::Bool),
            ("unpack", Takes::Bool),
        ],
        Keyword::Copy => &[
            ("chmod", Takes::Text),
            ("chown", Takes::Text),
            ("exclude", Takes::List),
            ("from", Takes::Text),
            ("link", Takes::Bool),
            ("parents", Takes::Bool),
        ],
        Keyword::From => &[("platform", Takes::Text)],
        Keyword::Healthcheck => &[
            ("interval", Takes::Text),
            ("retries", Takes::Text),
            ("start-interval", Takes::Text),
            ("start-period", Takes::Text),
            ("timeout", Takes::Text),
        ],
        Keyword::Run => &[
            ("device", Takes::List),
            ("mount", Takes::List),
            ("network", Takes::Text),
            ("security", Takes::Text),
        ],
        Keyword::Arg | Keyword::Stopsignal => return None,
        _ => &[],
    })
}

/// Takes the flags off the beginning of a text.
///
/// As upstream (`parser.extractBuilderFlags`) this goes by bytes, not characters: a value that is not ASCII comes out
/// as if it were Latin-1, which is what ends up in the build.
pub(super) fn split(text: Part<'_>, escape: char) -> (Vec<RawFlag<'_>>, Part<'_>) {
    if !text.text.starts_with("--") {
        return (Vec::new(), text);
    }
    let bytes = text.text.as_bytes();
    let mut flags = Vec::new();
    let mut at = 0;
    loop {
        at += bytes[at..].iter().take_while(|&&byte| is_space(byte)).count();
        if !bytes[at..].starts_with(b"--") {
            break;
        }
        let start = at;
        // A dash begins a character.
        let (word, length) = word(&text.text[at..], escape as u8);
        at += length;
        if word == "--" {
            break;
        }
        let equals = word.find('=');
        flags.push(RawFlag {
            name: cut(&word, 2..equals.unwrap_or(word.len())),
            value: equals.map(|equals| cut(&word, equals + 1..word.len())),
            at: text.at + start,
            end: text.at + ceil(text.text, at),
        });
    }
    (flags, text.skip(floor(text.text, at)))
}

fn cut<'a>(word: &Cow<'a, str>, range: Range<usize>) -> Cow<'a, str> {
    match word {
        Cow::Borrowed(word) => Cow::Borrowed(&word[range]),
        Cow::Owned(word) => Cow::Owned(word[range].to_owned()),
    }
}

/// The word that a text begins with, without quotes and escapes, and its length in bytes.
fn word(text: &str, escape: u8) -> (Cow<'_, str>, usize) {
    let bytes = text.as_bytes();
    let is_plain = |&byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'\'' | b'"') && byte != escape;
    let plain = bytes.iter().take_while(|byte| is_plain(byte)).count();
    if bytes.get(plain).is_none_or(|&byte| is_space(byte)) {
        return (Cow::Borrowed(&text[..plain]), plain);
    }
    let mut word = text[..plain].to_owned();
    let mut quote = None;
    let mut is_escaped = false;
    for (at, &byte) in bytes.iter().enumerate().skip(plain) {
        match quote {
            _ if is_escaped => {
                is_escaped = false;
                word.push(char::from(byte));
            }
            None if is_space(byte) => return (Cow::Owned(word), at),
            None if matches!(byte, b'\'' | b'"') => quote = Some(byte),
            Some(quoted) if byte == quoted => quote = None,
            _ if byte == escape => is_escaped = true,
            _ => word.push(char::from(byte)),
        }
    }
    (Cow::Owned(word), bytes.len())
}

/// White space in Latin-1.
fn is_space(byte: u8) -> bool {
    char::from(byte).is_whitespace()
}

fn floor(text: &str, at: usize) -> usize {
    (0..=at).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0)
}

fn ceil(text: &str, at: usize) -> usize {
    (at..text.len()).find(|&at| text.is_char_boundary(at)).unwrap_or(text.len())
}

/// Checks the flags of an instruction: that it knows them, how often they are given, and their values as far as their
/// kind says what those may be.
pub(super) fn check(keyword: Keyword, flags: &[RawFlag<'_>]) -> Result<(), Fault> {
    if flags.is_empty() {
        return Ok(());
    }
    let Some(known) = known(keyword) else { return Ok(()) };
    for (index, flag) in flags.iter().enumerate() {
        let name = &flag.name;
        let Some(&(_, takes)) = known.iter().find(|(known, _)| known == name) else {
            return Err(unknown(keyword, flag, known));
        };
        if takes != Takes::List && flags[..index].iter().any(|before| before.name == *name) {
            return Err(Fault::new(flag.at, format!("flag --{name} is given twice")));
        }
        match (takes, flag.value.as_deref()) {
            (Takes::Bool, None) => {}
            (Takes::Bool, Some(value)) if value.eq_ignore_ascii_case("true") => {}
            (Takes::Bool, Some(value)) if value.eq_ignore_ascii_case("false") => {}
            (Takes::Text | Takes::List, None) | (Takes::Bool, Some("")) => {
                return Err(Fault::new(flag.at, format!("flag --{name} has no value"))
                    .with_help(format!("write --{name}=…")));
            }
            (Takes::Bool, Some(value)) => {
                let message = format!("flag --{name} is true or false, not `{value}`");
                return Err(Fault::new(flag.at, message));
            }
            (Takes::Text | Takes::List, Some(_)) => {}
        }
    }
    Ok(())
}

fn unknown(keyword: Keyword, flag: &RawFlag<'_>, known: &[(&str, Takes)]) -> Fault {
    let fault = Fault::new(flag.at, format!("{} has no flag --{}", keyword.name(), flag.name));
    if known.is_empty() {
        return fault.with_help(format!("{} has no flags at all", keyword.name()));
    }
    let names: Vec<String> = known.iter().map(|(name, _)| format!("--{name}")).collect();
    fault.with_help(format!("{} has {}", keyword.name(), names.join(", ")))
}
