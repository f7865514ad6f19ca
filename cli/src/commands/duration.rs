//! Times as people write them: `30s`, `1h 30m`, `7d`.

use std::time::Duration;

use jiff::{Span, SpanRelativeTo};

/// A longer time is a typing error, and would not fit everywhere.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// Reads a time. A day has 24 hours; a number alone is not taken, since tools differ in what it means.
pub(super) fn parse(text: &str) -> Result<Duration, String> {
    const HELP: &str = "write it with its unit, such as 30s, 10m, 2h or 7d";
    if text.trim() == "0" {
        return Ok(Duration::ZERO);
    }
    let span: Span = text.parse().map_err(|_| HELP.to_owned())?;
    let time = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| HELP.to_owned())?;
    let time = Duration::try_from(time).map_err(|_| "a time cannot be negative".to_owned())?;
    if time > LONGEST { Err("at most a year, 366d".into()) } else { Ok(time) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        let seconds = |text| parse(text).map(|time| time.as_secs());
        assert_eq!(seconds("30s"), Ok(30));
        assert_eq!(seconds("1h 30m"), Ok(5400));
        assert_eq!(seconds("2h"), Ok(7200));
        assert_eq!(seconds("72h"), Ok(259_200));
        assert_eq!(seconds("7d"), Ok(604_800));
        assert_eq!(seconds("0"), Ok(0));
        assert_eq!(parse("250ms"), Ok(Duration::from_millis(250)));
        insta::assert_snapshot!(parse("30").unwrap_err(), @"write it with its unit, such as 30s, 10m, 2h or 7d");
        insta::assert_snapshot!(parse("soon").unwrap_err(), @"write it with its unit, such as 30s, 10m, 2h or 7d");
        insta::assert_snapshot!(parse("-5s").unwrap_err(), @"a time cannot be negative");
        insta::assert_snapshot!(parse("2000d").unwrap_err(), @"at most a year, 366d");
    }
}
