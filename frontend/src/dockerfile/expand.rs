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

#[cfg(test)]
mod tests {
    use super::*;

    fn lookup(name: &str) -> Option<String> {
        let value = match name {
            "v" => "a/b/c.tar.gz",
            "empty" => "",
            "lines" => "a\nb",
            "star" => "a*b",
            _ => return None,
        };
        Some(value.to_owned())
    }

    fn value(word: &str) -> String {
        expand(word, '\\', &lookup).unwrap_or_else(|error| panic!("{error}: {word}")).value
    }

    #[test]
    fn variables_are_replaced() {
        let cases = [
            ("$v", "a/b/c.tar.gz"),
            ("x${v}y", "xa/b/c.tar.gzy"),
            ("$none-", "-"),
            ("$", "$"),
            ("$ a", "$ a"),
            ("$1a", "a"),
            ("\\$v", "$v"),
            ("'$v'", "$v"),
            ("\"$v\"", "a/b/c.tar.gz"),
            ("\"\\$v \\\" \\a\"", "$v \" \\a"),
            ("${none:-d}${none-e}${empty:-f}${empty-g}", "def"),
            ("${none:+d}${none+e}${empty:+f}${empty+g}${v:+h}", "gh"),
            ("${v:?x}${empty?x}", "a/b/c.tar.gz"),
            ("${none:-${none:-\"${v}\"}}", "a/b/c.tar.gz"),
            ("${v#*/}", "b/c.tar.gz"),
            ("${v##*/}", "c.tar.gz"),
            ("${v%.*}", "a/b/c.tar"),
            ("${v%%.*}", "a/b/c"),
            ("${v#?}", "/b/c.tar.gz"),
            ("${v#x}", "a/b/c.tar.gz"),
            ("${star%\\*b}", "a"),
            ("${lines#*b}", "a\nb"),
            ("${v/\\//-}", "a-b/c.tar.gz"),
            ("${v//\\//-}", "a-b-c.tar.gz"),
            ("${v//./}", "a/b/ctargz"),
            ("${v/?*/x}", "x"),
            ("${v///x}", "xax/xbx/xcx.xtxaxrx.xgxzx"),
            ("${empty//*/x}", "x"),
            ("a < b << c", "a < b << c"),
        ];
        for (word, expected) in cases {
            assert_eq!(value(word), expected, "{word}");
        }
    }

    #[test]
    fn what_is_missing_is_told() {
        let expanded = expand("$a$v${b:-$c}", '\\', &lookup).unwrap();
        assert_eq!(expanded.missing.into_iter().collect::<Vec<_>>(), ["a", "b", "c"]);
    }

    #[test]
    fn the_escape_character_may_be_another() {
        assert_eq!(expand("`$v\\$v", '`', &lookup).unwrap().value, "$v\\a/b/c.tar.gz");
    }

    #[test]
    fn what_cannot_be_expanded_says_why() {
        let cases = [
            ("'a", "quote ' is never closed"),
            ("\"a", "quote \" is never closed"),
            ("${a", "`${` without the `}` that ends it"),
            ("${", "`${` without the `}` that ends it"),
            ("${a:-'b}", "`${` without the `}` that ends it"),
            ("${v/a}", "`${…/` without the `/` that ends its pattern"),
            ("${}", "no variable's name between `${` and `}`"),
            ("${a!b}", "unknown modifier `!` in `${…}`"),
            ("${a:=b}", "unknown modifier `:=` in `${…}`"),
            ("${v:#a}", "unknown modifier `:#` in `${…}`"),
            ("${none:?give it}", "none: give it"),
            ("${empty:?}", "empty: must not be empty"),
            ("${v#\\a}", "bad pattern `\\a`: `\\a` is no escape"),
        ];
        for (word, expected) in cases {
            assert_eq!(expand(word, '\\', &lookup).unwrap_err().to_string(), expected, "{word}");
        }
    }

    #[test]
    fn nothing_grows_without_end() {
        let deep = "${a:-".repeat(100_000) + &"}".repeat(100_000);
        assert_eq!(expand(&deep, '\\', &lookup), Err(ExpandError::TooDeep));
        let long = |_: &str| Some("x".repeat(1 << 19));
        assert_eq!(expand("$a$a$a", '\\', &long), Err(ExpandError::TooLong));
        assert_eq!(expand("${a//x/${a}}", '\\', &long), Err(ExpandError::TooCostly));
        let stars = format!("${{a##{}y}}", "*x".repeat(1000));
        assert_eq!(expand(&stars, '\\', &long), Err(ExpandError::TooCostly));
    }
}
