//! `ARG`, `ENV` and `LABEL`.

use super::Arguments;
use crate::dockerfile::error::Fault;
use crate::dockerfile::form::{Form, Pair};
use crate::dockerfile::instruction::{Body, Keyword};
use crate::dockerfile::words;

pub(super) fn arg(arguments: &Arguments<'_>) -> Result<Body, Fault> {
    let mut args = Vec::new();
    for word in words::quoted(arguments.rest, arguments.escape) {
        args.push(match word.text.split_once('=') {
            Some(("", _)) => return Err(nameless(arguments, word.at)),
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (word.text.to_owned(), None),
        });
    }
    if args.is_empty() {
        return Err(arguments.missing("name"));
    }
    Ok(Body::Arg(args))
}

pub(super) fn env(arguments: Arguments<'_>) -> Result<Body, Fault> {
    let Form::Pairs(pairs) = &arguments.form else { return Ok(Body::Other) };
    if pairs.is_empty() {
        return Err(arguments
            .missing("name")
            .with_help(format!("write {} name=value", arguments.keyword.name())));
    }
    if let Some(pair) = pairs.iter().find(|pair| pair.name.is_empty()) {
        return Err(nameless(&arguments, pair.at));
    }
    match arguments.form {
        Form::Pairs(pairs) if arguments.keyword == Keyword::Env => {
            let own = |pair: Pair<'_>| (pair.name.to_owned(), pair.value.to_owned());
            Ok(Body::Env(pairs.into_iter().map(own).collect()))
        }
        _ => Ok(Body::Other),
    }
}

fn nameless(arguments: &Arguments<'_>, at: usize) -> Fault {
    Fault::new(at, format!("{} has a value without a name", arguments.keyword.name()))
}
