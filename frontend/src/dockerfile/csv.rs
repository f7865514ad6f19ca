//! One line of comma-separated values, as `go-csvvalue` and Go's `encoding/csv` read it.

use std::borrow::Cow;

/// Why a line is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum CsvError {
    #[error("there is nothing in it")]
    Empty,
    #[error("a quote stands within a field that does not begin with one")]
    BareQuote,
    #[error("a quote is not closed, or something follows it before the comma")]
    Quote,
}

/// The fields of a line.
pub(super) fn fields(line: &str) -> Result<Vec<Cow<'_, str>>, CsvError> {
    let mut rest = match line.strip_suffix('\n') {
        Some(line) => line.strip_suffix('\r').unwrap_or(line),
        None => line,
    };
    if rest.is_empty() {
        return Err(CsvError::Empty);
    }
    let mut fields = Vec::new();
    loop {
        let behind = match rest.strip_prefix('"') {
            Some(quoted) => {
                let (field, behind) = quoted_field(quoted)?;
                fields.push(Cow::Owned(field));
                behind
            }
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                let (field, behind) = rest.split_at(end);
                if field.contains('"') {
                    return Err(CsvError::BareQuote);
                }
                fields.push(Cow::Borrowed(field));
                behind
            }
        };
        match behind.strip_prefix(',') {
            Some(next) => rest = next,
            None => return Ok(fields),
        }
    }
}

/// What stands up to the quote that closes a field, two of them being one, and what follows: nothing or a comma.
fn quoted_field(mut rest: &str) -> Result<(String, &str), CsvError> {
    let mut field = String::new();
    loop {
        let (before, behind) = rest.split_once('"').ok_or(CsvError::Quote)?;
        field.push_str(before);
        match behind.strip_prefix('"') {
            Some(behind) => {
                field.push('"');
                rest = behind;
            }
            None if behind.is_empty() || behind.starts_with(',') => return Ok((field, behind)),
            None => return Err(CsvError::Quote),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_parted_by_commas_outside_of_quotes() {
        assert_eq!(fields("a,b,").unwrap(), ["a", "b", ""]);
        assert_eq!(fields("\"a,b\",c").unwrap(), ["a,b", "c"]);
        assert_eq!(fields("\"a\"\"b\"").unwrap(), ["a\"b"]);
        assert_eq!(fields("\"\"").unwrap(), [""]);
        assert_eq!(fields(""), Err(CsvError::Empty));
        assert_eq!(fields("a\"b"), Err(CsvError::BareQuote));
        assert_eq!(fields("\"a\"b"), Err(CsvError::Quote));
        assert_eq!(fields("\"a"), Err(CsvError::Quote));
    }
}
