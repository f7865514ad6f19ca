//! Parser directives: comments at the very top that say how to read the rest.

use super::case;
use super::instruction::Directive;
use super::lines::Line;

const NAMES: [&str; 3] = ["syntax", "escape", "check"];

/// Reads directives until the first line that is none.
#[derive(Debug)]
pub(super) struct Directives {
    /// Whether a line was read that is none: there will be no more.
    pub(super) are_over: bool,
    seen: Vec<&'static str>,
    /// The character that escapes and continues lines.
    pub(super) escape: char,
}

impl Default for Directives {
    fn default() -> Self {
        Self { are_over: false, seen: Vec::new(), escape: '\\' }
    }
}

impl Directives {
    /// The directive on this line, if it is one. All the lines before were.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub(super) fn read(&mut self, line: &Line<'_>) -> Result<Option<Directive>, String> {
        let Some((name, value)) = split(line.text.trim_start()) else {
            self.are_over = true;
            return Ok(None);
        };
        if self.seen.contains(&name) {
            return Err(format!("directive `{name}` is given twice"));
        }
        self.seen.push(name);
        if name == "escape" {
            self.escape = match value {
                "\\" => '\\',
                "`" => '`',
                other => return Err(format!("escape character must be \\ or `, not `{other}`")),
            };
        }
        Ok(Some(Directive {
            name: name.to_owned(),
            value: value.to_owned(),
            span: line.start..line.end,
            line: line.number,
        }))
    }
}

/// `# name = value` of a directive that there is.
fn split(line: &str) -> Option<(&'static str, &str)> {
    let (name, value) = line.strip_prefix('#')?.split_once('=')?;
    let name = name.trim_start().trim_end_matches(is_space);
    let name = NAMES.into_iter().find(|known| name.is_ascii() && case::lower_is(name, known))?;
    let bare = value.trim_matches(is_space);
    // White space alone is a value too, its last character.
    let bare = if bare.is_empty() { &value[value.len().checked_sub(1)?..] } else { bare };
    Some((name, bare))
}

/// `\s` of a regular expression in Go.
fn is_space(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\u{c}' | '\r' | ' ')
}
