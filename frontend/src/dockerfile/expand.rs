//! Words with their variables put in and their quotes taken off.

use std::collections::BTreeSet;

pub use super::lex::ExpandError;
use super::lex::{Keep, Lexer};

/// A word without quotes and escapes, its variables replaced.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expanded {
    /// What came out.
    pub value: String,
    /// The variables that were looked up and not found.
    pub missing: BTreeSet<String>,
}

/// Expands a word as BuildKit does (`shell.Lex.ProcessWord`).
///
/// A word may hold white space: it is not parted. `lookup` gives the value of a variable that is set.
///
/// # Errors
///
/// When a quote or brace is not closed, a substitution is none that there is, `${name:?message}` asks for it, or one of
/// the limits is reached that keep a Dockerfile from filling the memory; BuildKit knows no such limits.
pub fn expand(
    word: &str,
    escape: char,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<Expanded, ExpandError> {
    let (value, missing) = Lexer::new(word, escape, Keep::default(), lookup).whole()?;
    Ok(Expanded { value, missing })
}
