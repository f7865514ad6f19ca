//! `RUN --device=…`.

use super::{case, csv, values};

/// Checks a device: `name[,required[=bool]]`.
///
/// # Errors
///
/// What is wrong with it.
pub(super) fn check(value: &str) -> Result<(), String> {
    let fields = csv::fields(value).map_err(|error| format!("bad device `{value}`: {error}"))?;
    let mut name = "";
    for field in &fields {
        let (key, value) =
            field.split_once('=').map_or((&field[..], None), |(key, value)| (key, Some(value)));
        match (&case::lower(key)[..], value) {
            ("required", None) => {}
            ("required", Some(value)) => {
                values::boolean(value)
                    .ok_or_else(|| format!("device option required is no boolean: `{value}`"))?;
            }
            ("name", Some(_)) if !name.is_empty() => {
                return Err(format!("device already has the name `{name}`"));
            }
            ("name", Some(value)) => name = value,
            _ if name.is_empty() => name = field,
            (_, None) => return Err(format!("device option `{field}` has no value")),
            (key, Some(_)) => return Err(format!("device has no option `{key}`")),
        }
    }
    Ok(())
}
