//! The form of what stands behind an instruction's flags: the first of the two looks that BuildKit takes at it.
//!
//! It is the only one that it takes at the instruction in an ONBUILD (`parser.newNodeFromLine`), so faults found here
//! and faults found later ([`super::arguments`]) are kept apart.

use super::error::Fault;
use super::instruction::Keyword;
use super::json::{self, Array, Strings};
use super::part::Part;
use super::words;

/// What stands behind the flags, without white space around it.
#[derive(Debug)]
pub(super) enum Form<'a> {
    /// A JSON array of strings.
    Json(Strings<'a>),
    /// Anything else.
    Text(Part<'a>),
    /// `name=value`s.
    Pairs(Vec<Pair<'a>>),
    /// A kind and what follows it, of a HEALTHCHECK.
    Kind(Part<'a>, Box<Form<'a>>),
}

/// `name=value`.
#[derive(Debug)]
pub(super) struct Pair<'a> {
    pub(super) name: Part<'a>,
    pub(super) value: Part<'a>,
}

impl Form<'_> {
    pub(super) fn is_json(&self) -> bool {
        matches!(self, Self::Json(_))
    }
}

/// Reads the form that an instruction's arguments have.
pub(super) fn read(keyword: Keyword, text: Part<'_>, escape: char) -> Result<Form<'_>, Fault> {
    match keyword {
        Keyword::Add
        | Keyword::Cmd
        | Keyword::Copy
        | Keyword::Entrypoint
        | Keyword::Run
        | Keyword::Shell
        | Keyword::Volume => maybe_json(text),
        Keyword::Healthcheck => {
            let end = text.text.find(|c: char| c.is_ascii() && c.is_whitespace()).unwrap_or(text.text.len());
            let kind = Part::new(&text.text[..end], text.at);
            Ok(Form::Kind(kind, Box::new(maybe_json(text.skip(end).trim_start())?)))
        }
        Keyword::Env | Keyword::Label => pairs(keyword, text, escape).map(Form::Pairs),
        _ => Ok(Form::Text(text)),
    }
}

fn maybe_json(text: Part<'_>) -> Result<Form<'_>, Fault> {
    match json::array(text.text) {
        Array::Strings(strings) => Ok(Form::Json(strings)),
        Array::None => Ok(Form::Text(text)),
        Array::Mixed => Err(text
            .fault("JSON array holds something other than strings")
            .with_help("quote every element, or drop the brackets for a shell's command")),
    }
}

/// `name=value name=value`, or the old `name value` if there is no `=` in the first word.
fn pairs(keyword: Keyword, text: Part<'_>, escape: char) -> Result<Vec<Pair<'_>>, Fault> {
    let mut pairs = Vec::new();
    for word in words::quoted(text, escape) {
        if let Some((name, value)) = word.split_value() {
            pairs.push(Pair { name, value });
            continue;
        }
        if !pairs.is_empty() {
            return Err(word
                .fault(format!("`{}` has no `=`", word.text))
                .with_help(format!("{} takes name=value; quote a value with blanks in it", keyword.name())));
        }
        let (name, value) = text.split_word();
        let Some(value) = value else {
            return Err(name.fault(format!("{} of `{}` has no value", keyword.name(), name.text)));
        };
        pairs.push(Pair { name, value });
        break;
    }
    Ok(pairs)
}
