//! Names with a date in them, such as those of nightly images: `v0.5-{date:%Y%m%d}`.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;
use jiff::fmt::strtime::{self, BrokenDownTime};

/// What `{date}` alone means.
const USUAL: &str = "%Y%m%d";

/// Text with one date in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dated {
    before: String,
    /// As strftime has it.
    format: String,
    after: String,
}

/// Why text has no date in it.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum DatedError {
    /// It has none, or several.
    #[error("it has to have one {{date}}, or {{date:%Y%m%d}} with another format")]
    None,
    /// The format is not one of strftime's.
    #[error("the format of its date is wrong: {0}")]
    Format(String),
}

impl Dated {
    /// The text with this date.
    pub fn at(&self, date: Date) -> String {
        // The format was tried when it was read.
        let date = strtime::format(&self.format, date).unwrap_or_default();
        format!("{}{date}{}", self.before, self.after)
    }

    /// The date in such a text.
    pub fn date_in(&self, text: &str) -> Option<Date> {
        let date = text.strip_prefix(self.before.as_str())?.strip_suffix(self.after.as_str())?;
        let date = BrokenDownTime::parse(&self.format, date).ok()?.to_date().ok()?;
        // Only what is written as we would write it: no two texts for one day.
        (self.at(date) == text).then_some(date)
    }

    /// The texts of this many days, the newest first, which is this one.
    pub fn days(&self, newest: Date, days: u16) -> impl Iterator<Item = String> {
        let mut dates = std::iter::successors(Some(newest), |date| date.yesterday().ok());
        let mut last = None;
        (0..days).filter_map(move |_| {
            let text = self.at(dates.next()?);
            // A format may be as coarse as a month.
            let is_new = last.as_ref() != Some(&text);
            last = Some(text.clone());
            is_new.then_some(text)
        })
    }
}

impl FromStr for Dated {
    type Err = DatedError;

    fn from_str(text: &str) -> Result<Self, DatedError> {
        let (before, rest) = text.split_once("{date").ok_or(DatedError::None)?;
        let (format, after) = rest.split_once('}').ok_or(DatedError::None)?;
        let format =
            if format.is_empty() { USUAL } else { format.strip_prefix(':').ok_or(DatedError::None)? };
        if after.contains("{date") || format.is_empty() {
            return Err(DatedError::None);
        }
        let (today, other) = (Date::constant(2026, 11, 21), Date::constant(2001, 2, 3));
        let tried = [today, other].map(|date| strtime::format(format, date));
        match tried {
            [Ok(first), Ok(second)] if first != second => {
                Ok(Self { before: before.into(), format: format.into(), after: after.into() })
            }
            [Ok(_), Ok(_)] => Err(DatedError::Format("it is the same on all days".into())),
            [Err(error), _] | [_, Err(error)] => Err(DatedError::Format(error.to_string())),
        }
    }
}

impl fmt::Display for Dated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{{date:{}}}{}", self.before, self.format, self.after)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_newest_days_come_first() {
        let nightly: Dated = "dev:v0.5-{date:%Y%m%d}-rocm".parse().unwrap();
        let days: Vec<_> = nightly.days(Date::constant(2026, 3, 1), 3).collect();
        assert_eq!(days, ["dev:v0.5-20260301-rocm", "dev:v0.5-20260228-rocm", "dev:v0.5-20260227-rocm"]);
        let monthly: Dated = "a:{date:%Y.%m}".parse().unwrap();
        assert_eq!(
            monthly.days(Date::constant(2026, 3, 2), 4).collect::<Vec<_>>(),
            ["a:2026.03", "a:2026.02"]
        );
    }

    #[test]
    fn what_has_no_date_is_refused() {
        let wrong = |text: &str| text.parse::<Dated>().unwrap_err().to_string();
        insta::assert_snapshot!(wrong("a:1"), @"it has to have one {date}, or {date:%Y%m%d} with another format");
        insta::assert_snapshot!(wrong("a:{date:x}"), @"the format of its date is wrong: it is the same on all days");
        for text in ["a:{date}{date}", "a:{date", "a:{date:}", "a:{date:%H}", "a:{datex}"] {
            assert!(text.parse::<Dated>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_date_is_read_as_it_is_written(days in 0_i32..100_000, text in "[a-z0-9._-]{0,20}") {
            let dated: Dated = format!("{text}{{date}}-{text}").parse().unwrap();
            let date = Date::constant(1970, 1, 1).checked_add(jiff::Span::new().days(days)).unwrap();
            prop_assert_eq!(dated.date_in(&dated.at(date)), Some(date));
            prop_assert_eq!(dated.date_in(&text), None);
        }
    }
}
