//! `COPY` and `ADD`.

use std::borrow::Cow;

use super::Arguments;
use crate::dockerfile::error::Fault;
use crate::dockerfile::form::Form;
use crate::dockerfile::heredoc;
use crate::dockerfile::instruction::{Body, Text};

pub(super) fn check<'source>(arguments: &Arguments<'_, 'source>) -> Result<Body<'source>, Fault> {
    let name = arguments.keyword.name();
    let mut paths: Vec<Text<'source>> = Vec::with_capacity(2);
    match &arguments.form {
        Form::Json(words) => paths.extend(words.clone().map(|word| Cow::Owned(word.into_owned()))),
        _ => paths.extend(arguments.rest.words().map(|word| arguments.logical.text(word))),
    }
    let Some((destination, sources)) = paths.split_last_mut().filter(|(_, sources)| !sources.is_empty())
    else {
        let fault = arguments.word.fault(format!("{name} has no destination"));
        return Err(fault.with_help(format!("write {name} source… destination")));
    };
    if let Ok(Some(_)) = heredoc::word_of(destination) {
        return Err(arguments
            .rest
            .fault(format!("destination of {name} is a heredoc"))
            .with_help("a heredoc is a source: put the path that it is written to behind it"));
    }
    for source in sources {
        if let Ok(Some(heredoc)) = heredoc::word_of(source) {
            *source = Cow::Owned(heredoc.name);
        }
    }
    Ok(Body::Copy(paths.into()))
}
