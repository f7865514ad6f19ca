//! `FROM`.

use std::borrow::Cow;

use super::Arguments;
use crate::dockerfile::case;
use crate::dockerfile::error::Fault;
use crate::dockerfile::instruction::{Body, NewStage};

pub(super) fn check<'source>(arguments: &Arguments<'_, 'source>) -> Result<Body<'source>, Fault> {
    let mut words = arguments.rest.words();
    let Some(base) = words.next() else { return Err(arguments.missing("image or stage")) };
    let base = arguments.logical.text(base);
    let (Some(between), name) = (words.next(), words.next()) else {
        return Ok(Body::From(Box::new(NewStage { base, name: None })));
    };
    let name = match name {
        Some(name) if is_as(between.text) && words.next().is_none() => name,
        _ => {
            return Err(between
                .fault("FROM takes an image or stage, and a name for the new one")
                .with_help("write FROM image, or FROM image AS name"));
        }
    };
    let lower = match case::lower(name.text) {
        Cow::Borrowed(_) => arguments.logical.text(name),
        Cow::Owned(lower) => Cow::Owned(lower),
    };
    if !is_stage_name(&lower) {
        return Err(name
            .fault(format!("`{}` is no name for a stage", name.text))
            .with_help("begin with a letter, go on with letters, digits, `-`, `_` and `.`"));
    }
    Ok(Body::From(Box::new(NewStage { base, name: Some(lower) })))
}

/// `AS` in whatever case, as Go's `strings.EqualFold` has it.
fn is_as(word: &str) -> bool {
    case::upper_is(word, "AS")
}

fn is_stage_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.'))
}
