//! `--name=value` between an instruction's keyword and the rest.

use super::error::Fault;
use super::instruction::Keyword;
use super::part::Part;

/// A flag as it stands in the joined text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RawFlag {
    pub(super) name: String,
    pub(super) value: Option<String>,
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
pub(super) fn split(text: Part<'_>, escape: char) -> (Vec<RawFlag>, Part<'_>) {
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
        let (word, length) = word(&bytes[at..], escape as u8);
        at += length;
        if word == "--" {
            break;
        }
        let (name, value) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (word.as_str(), None),
        };
        flags.push(RawFlag {
            name: name[2..].to_owned(),
            value,
            at: text.at + start,
            end: text.at + ceil(text.text, at),
        });
    }
    (flags, text.skip(floor(text.text, at)))
}

/// The word that some bytes begin with, without quotes and escapes, and its length.
fn word(bytes: &[u8], escape: u8) -> (String, usize) {
    let mut word = String::new();
    let mut quote = None;
    let mut is_escaped = false;
    for (at, &byte) in bytes.iter().enumerate() {
        match quote {
            _ if is_escaped => {
                is_escaped = false;
                word.push(char::from(byte));
            }
            None if is_space(byte) => return (word, at),
            None if matches!(byte, b'\'' | b'"') => quote = Some(byte),
            Some(quoted) if byte == quoted => quote = None,
            _ if byte == escape => is_escaped = true,
            _ => word.push(char::from(byte)),
        }
    }
    (word, bytes.len())
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
pub(super) fn check(keyword: Keyword, flags: &[RawFlag]) -> Result<(), Fault> {
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

fn unknown(keyword: Keyword, flag: &RawFlag, known: &[(&str, Takes)]) -> Fault {
    let fault = Fault::new(flag.at, format!("{} has no flag --{}", keyword.name(), flag.name));
    if known.is_empty() {
        return fault.with_help(format!("{} has no flags at all", keyword.name()));
    }
    let names: Vec<String> = known.iter().map(|(name, _)| format!("--{name}")).collect();
    fault.with_help(format!("{} has {}", keyword.name(), names.join(", ")))
}
