//! A file that cannot be read, with the line that is wrong.

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

use super::escape::plain;
use super::place::Lines;
use crate::dockerfile::Position;

/// `message` at a place of a file's text, as rustc shows it, with escapes for a terminal. The text may be anything.
#[must_use]
pub fn problem(path: &str, source: &[u8], place: Position, message: &str, help: Option<&str>) -> String {
    let number = usize::try_from(place.line).unwrap_or(usize::MAX).max(1);
    // Only the line itself: the rest may be long, or no text at all.
    let start = number
        .checked_sub(2)
        .map_or(Some(0), |newlines| memchr::memchr_iter(b'\n', source).nth(newlines).map(|at| at + 1));
    let rest = &source[start.unwrap_or(source.len())..];
    let line = &rest[..memchr::memchr(b'\n', rest).unwrap_or(rest.len()).min(LONGEST)];
    let line = String::from_utf8_lossy(line);
    let line = line.trim_start_matches('\u{feff}').trim_end();
    let column = usize::try_from(place.column).unwrap_or(usize::MAX).max(1);
    let from = line.char_indices().nth(column - 1).map_or(line.len(), |(at, _)| at);
    // A place at the beginning of a line is all of it.
    let to = if column == 1 { Lines::new(line).line(1).end } else { from };
    let snippet = Snippet::source(line)
        .line_start(number)
        .path(plain(path))
        .annotation(AnnotationKind::Primary.span(from..to));
    let mut group = Level::ERROR.primary_title(message).element(snippet);
    if let Some(help) = help {
        group = group.element(Level::HELP.message(plain(help)));
    }
    let mut text = Renderer::styled().render(&[group]);
    text.push('\n');
    text
}

/// How many bytes of a line are shown at most.
const LONGEST: usize = 4096;
