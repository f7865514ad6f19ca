//! Instructions of which only the number of arguments matters.

use super::Arguments;
use crate::dockerfile::error::Fault;
use crate::dockerfile::form::Form;
use crate::dockerfile::instruction::Body;

/// One argument or more.
pub(super) fn some<'source>(arguments: &Arguments<'_, 'source>, what: &str) -> Result<Body<'source>, Fault> {
    if arguments.rest.is_empty() { Err(arguments.missing(what)) } else { Ok(Body::Other) }
}

/// One path or more, none of them empty.
pub(super) fn volume<'source>(arguments: &Arguments<'_, 'source>) -> Result<Body<'source>, Fault> {
    match &arguments.form {
        Form::Json(paths) if paths.is_empty() => Err(arguments.missing("path")),
        Form::Json(paths) if paths.clone().any(|path| path.trim().is_empty()) => {
            Err(arguments.fault("VOLUME has an empty path"))
        }
        _ => some(arguments, "path"),
    }
}
