//! Switches in the environment, which are the same in all variables.

const YES: [&str; 6] = ["1", "true", "t", "yes", "y", "on"];
const NO: [&str; 7] = ["", "0", "false", "f", "no", "n", "off"];

/// Whether a variable switches something on; an empty one does not, as one that is not set.
///
/// # Errors
/// With what it may be, where it is neither.
pub(crate) fn parse(text: &str) -> Result<bool, String> {
    let text = text.trim().to_ascii_lowercase();
    match (YES.contains(&&*text), NO.contains(&&*text)) {
        (true, _) => Ok(true),
        (_, true) => Ok(false),
        _ => Err("write 1 or 0, true or false, yes or no, on or off".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yes_and_no_have_many_names() {
        for yes in ["1", "true", "YES", "on", " y "] {
            assert_eq!(parse(yes), Ok(true), "{yes}");
        }
        for no in ["", "0", "False", "no", "OFF", "n"] {
            assert_eq!(parse(no), Ok(false), "{no}");
        }
        for neither in ["2", "maybe", "tru"] {
            assert!(parse(neither).is_err(), "{neither}");
        }
    }
}
