//! Instructions of which only the number of arguments matters.

use super::Arguments;
use crate::dockerfile::error::Fault;
use crate::dockerfile::form::Form;
use crate::dockerfile::instruction::Body;

/// One argument, whatever is in it.
pub(super) fn one(arguments: &Arguments<'_>, what: &str) -> Result<Body, Fault> {
    some(arguments, what)
}

/// One argument or more.
pub(super) fn some(arguments: &Arguments<'_>, what: &str) -> Result<Body, Fault> {
    if arguments.rest.is_empty() { Err(arguments.missing(what)) } else { Ok(Body::Other) }
}

/// One path or more, none of them empty.
pub(super) fn volume(arguments: &Arguments<'_>) -> Result<Body, Fault> {
    match &arguments.form {
        Form::Json(paths) if paths.is_empty() => Err(arguments.missing("path")),
        Form::Json(paths) if paths.iter().any(|path| path.trim().is_empty()) => {
            Err(arguments.fault("VOLUME has an empty path"))
        }
        _ => some(arguments, "path"),
    }
}
