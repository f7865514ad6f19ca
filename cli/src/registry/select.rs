//! Which tags of a repository are meant: by a pattern, by age, by number. All pure.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::dated::{Dated, DatedError};
use crate::glob;

/// Tags of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TagPattern {
    /// Those with a date in them.
    Dated(Dated),
    /// Those that this matches, where `*` stands for any text and `?` for one character.
    Glob(String),
}

impl TagPattern {
    /// Whether the tag is of this kind.
    pub fn matches(&self, tag: &str) -> bool {
        match self {
            Self::Dated(dated) => dated.date_in(tag).is_some(),
            Self::Glob(glob) => glob::matches(glob.as_bytes(), tag.as_bytes()),
        }
    }

    /// When an image with this tag was made, as the tag itself says: at the end of its day.
    pub fn time_in(&self, tag: &str) -> Option<Timestamp> {
        let Self::Dated(dated) = self else { return None };
        end_of(dated.date_in(tag)?)
    }
}

fn end_of(date: Date) -> Option<Timestamp> {
    let end = date.tomorrow().ok()?.to_zoned(TimeZone::UTC).ok()?;
    Some(end.timestamp())
}

impl FromStr for TagPattern {
    type Err = DatedError;

    fn from_str(text: &str) -> Result<Self, DatedError> {
        if text.contains("{date") { Ok(Self::Dated(text.parse()?)) } else { Ok(Self::Glob(text.into())) }
    }
}

impl fmt::Display for TagPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dated(dated) => dated.fmt(f),
            Self::Glob(glob) => f.write_str(glob),
        }
    }
}

/// A tag, and when its image was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tagged {
    /// The tag.
    pub tag: String,
    /// When its image was made.
    pub at: Timestamp,
}

/// How many of the tags are meant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Extent {
    /// Those that are not older than this.
    pub since: Option<Duration>,
    /// At most so many, the newest.
    pub newest: Option<usize>,
}

impl Extent {
    /// Divides tags into those that are meant, the newest first, and the others. Of tags that are all too old the newest is
    /// meant all the same: a nightly build that has stopped is no reason to have none.
    pub fn divide(self, mut tags: Vec<Tagged>, now: Timestamp) -> (Vec<Tagged>, Vec<Tagged>) {
        // The tag decides between equals, so that two runs agree.
        tags.sort_by(|a, b| b.at.cmp(&a.at).then_with(|| b.tag.cmp(&a.tag)));
        let is_young = |tagged: &&Tagged| {
            let age = Duration::try_from(now.duration_since(tagged.at)).unwrap_or_default();
            self.since.is_none_or(|since| age <= since)
        };
        let young = tags.iter().take_while(is_young).count();
        let meant = young.min(self.newest.unwrap_or(usize::MAX)).max(1).min(tags.len());
        let others = tags.split_off(meant);
        (tags, others)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tagged(hours_ago: &[i64]) -> Vec<Tagged> {
        let tagged = |hours: &i64| Tagged {
            tag: format!("t{hours}"),
            at: Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_hours(100_000 - hours),
        };
        hours_ago.iter().map(tagged).collect()
    }
    fn now() -> Timestamp {
        Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_hours(100_000)
    }
    fn kept(extent: Extent, hours_ago: &[i64]) -> Vec<String> {
        extent.divide(tagged(hours_ago), now()).0.into_iter().map(|tagged| tagged.tag).collect()
    }

    #[test]
    fn the_newest_are_meant_and_never_none() {
        let since = Some(Duration::from_secs(72 * 3600));
        assert_eq!(kept(Extent { since, newest: None }, &[80, 10, 72, 73]), ["t10", "t72"]);
        assert_eq!(kept(Extent { since, newest: Some(1) }, &[80, 10, 72]), ["t10"]);
        assert_eq!(kept(Extent { since, newest: None }, &[90, 80]), ["t80"]);
        assert_eq!(kept(Extent { since: None, newest: Some(2) }, &[90, 80, 70]), ["t70", "t80"]);
        assert_eq!(kept(Extent { since, newest: Some(3) }, &[]), [""; 0]);
    }

    #[test]
    fn tags_are_matched_by_patterns_and_dates() {
        let is = |pattern: &str, tag: &str| pattern.parse::<TagPattern>().unwrap().matches(tag);
        assert!(is("v*-rocm", "v0.5-20260101-rocm"));
        assert!(!is("v*-rocm", "v0.5-cuda"));
        assert!(is("v?", "v1") && !is("v?", "v12") && is("*", ""));
        assert!(is("v0.5-{date:%Y%m%d}", "v0.5-20260228"));
        assert!(!is("v0.5-{date:%Y%m%d}", "v0.5-20260230"));
        let dated: TagPattern = "{date}".parse().unwrap();
        assert_eq!(dated.time_in("20260228").unwrap().to_string(), "2026-03-01T00:00:00Z");
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_what_is_meant_is_newer(
            hours in proptest::collection::vec(0_i64..1000, 0..30),
            since in proptest::option::of(0_u64..1000),
            newest in proptest::option::of(1_usize..10),
        ) {
            let extent = Extent { since: since.map(|hours| Duration::from_secs(hours * 3600)), newest };
            let (meant, others) = extent.divide(tagged(&hours), now());
            prop_assert_eq!(meant.len() + others.len(), hours.len());
            prop_assert!(newest.is_none_or(|newest| meant.len() <= newest));
            if let (Some(last), Some(first)) = (meant.last(), others.first()) {
                prop_assert!(last.at >= first.at);
            }
            prop_assert_eq!(meant.is_empty(), hours.is_empty());
        }
    }
}
