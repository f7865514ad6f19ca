//! `COPY` and `ADD`.

use super::Arguments;
use crate::dockerfile::error::Fault;
use crate::dockerfile::heredoc;
use crate::dockerfile::instruction::Body;

pub(super) fn check(arguments: Arguments<'_>) -> Result<Body, Fault> {
    let name = arguments.keyword.name();
    let mut words = arguments.words();
    let Some((destination, at)) = words.pop().filter(|_| !words.is_empty()) else {
        return Err(arguments.missing("destination").with_help(format!("write {name} source… destination")));
    };
    if let Ok(Some(_)) = heredoc::word_of(&destination) {
        return Err(Fault::new(at, format!("destination of {name} is a heredoc"))
            .with_help("a heredoc is a source: put the path that it is written to behind it"));
    }
    let sources = words
        .into_iter()
        .map(|(word, _)| match heredoc::word_of(&word) {
            Ok(Some(heredoc)) => heredoc.name,
            _ => word,
        })
        .collect();
    Ok(Body::Copy { sources, destination, heredocs: Vec::new() })
}
