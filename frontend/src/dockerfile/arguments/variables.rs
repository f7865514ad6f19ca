//! `ARG`, `ENV` and `LABEL`.

use super::Arguments;
use crate::dockerfile::error::Fault;
use crate::dockerfile::form::{Form, Pair};
use crate::dockerfile::instruction::{Body, Keyword};
use crate::dockerfile::part::Part;
use crate::dockerfile::words;

pub(super) fn arg<'source>(arguments: &Arguments<'_, 'source>) -> Result<Body<'source>, Fault> {
    let own = |part| arguments.logical.text(part);
    // One is usual.
    let mut args = Vec::with_capacity(1);
    for word in words::quoted(arguments.rest, arguments.escape) {
        args.push(match word.split_value() {
            Some((name, _)) if name.is_empty() => return Err(nameless(arguments, name)),
            Some((name, value)) => (own(name), Some(own(value))),
            None => (own(word), None),
        });
    }
    if args.is_empty() {
        return Err(arguments.missing("name"));
    }
    Ok(Body::Arg(args.into()))
}

pub(super) fn env<'source>(arguments: &Arguments<'_, 'source>) -> Result<Body<'source>, Fault> {
    let Form::Pairs(pairs) = &arguments.form else { return Ok(Body::Other) };
    if pairs.is_empty() {
        return Err(arguments
            .missing("name")
            .with_help(format!("write {} name=value", arguments.keyword.name())));
    }
    if let Some(pair) = pairs.iter().find(|pair| pair.name.is_empty()) {
        return Err(nameless(arguments, pair.name));
    }
    if arguments.keyword != Keyword::Env {
        return Ok(Body::Other);
    }
    let own = |pair: &Pair<'_>| (arguments.logical.text(pair.name), arguments.logical.text(pair.value));
    Ok(Body::Env(pairs.iter().map(own).collect()))
}

fn nameless(arguments: &Arguments<'_, '_>, word: Part<'_>) -> Fault {
    word.fault(format!("{} has a value without a name", arguments.keyword.name()))
}
