//! `COPY` and `ADD`.

use super::Arguments;
use crate::dockerfile::error::Fault;
use crate::dockerfile::form::Form;
use crate::dockerfile::heredoc;
use crate::dockerfile::instruction::Body;

pub(super) fn check(arguments: Arguments<'_>) -> Result<Body, Fault> {
    let name = arguments.keyword.name();
    let mut sources: Vec<String> = match arguments.form {
        Form::Json(words) => words,
        _ => arguments.rest.words().map(|word| word.text.to_owned()).collect(),
    };
    let Some(destination) = sources.pop().filter(|_| !sources.is_empty()) else {
        let fault = arguments.word.fault(format!("{name} has no destination"));
        return Err(fault.with_help(format!("write {name} source… destination")));
    };
    if let Ok(Some(_)) = heredoc::word_of(&destination) {
        return Err(arguments
            .rest
            .fault(format!("destination of {name} is a heredoc"))
            .with_help("a heredoc is a source: put the path that it is written to behind it"));
    }
    for source in &mut sources {
        if let Ok(Some(heredoc)) = heredoc::word_of(source) {
            *source = heredoc.name;
        }
    }
    Ok(Body::Copy { sources, destination, heredocs: Vec::new() })
}
