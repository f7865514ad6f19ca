//! The differences that have a reason: `testdata/differential/differences.toml`.

use std::fs;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::case::directory;
use super::compare::Difference;

/// Differences that are as they should be.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tolerance {
    /// What they are called in results.
    pub name: String,
    /// Patterns of facts, of which one matches.
    pub facts: Vec<String>,
    /// Patterns of cases; any when there is none.
    #[serde(default)]
    pub cases: Vec<String>,
    /// Patterns of engines; any when there is none.
    #[serde(default)]
    pub engines: Vec<String>,
    /// Patterns of policies; any when there is none.
    #[serde(default)]
    pub policies: Vec<String>,
    /// A pattern of what ours has; a fact that ours lacks is `-`.
    #[serde(default)]
    pub ours: Option<String>,
    /// A pattern of what one of both has; a fact that is not there is `-`.
    #[serde(default)]
    pub either: Option<String>,
    /// Whether it is a race, which a run need not show.
    #[serde(default)]
    pub sometimes: bool,
    /// What ours has beyond upstream: without one of these, in its first place, both are equal.
    #[serde(default)]
    pub without: Vec<String>,
    /// Why.
    pub reason: String,
}

/// Facts that are of the machine's state, and not of the build.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    /// Patterns of facts.
    pub facts: Vec<String>,
    /// Why they are not even looked at.
    pub reason: String,
}

/// What may differ, and what is not compared.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// Differences that are as they should be.
    pub difference: Vec<Tolerance>,
    /// Facts that are left out.
    pub measured: Vec<Measured>,
}

impl Table {
    /// The row that explains a difference, the first one of several.
    #[must_use]
    pub fn explains(&self, place: Coordinates, difference: &Difference) -> Option<&Tolerance> {
        self.difference.iter().find(|row| row.explains(place, difference))
    }

    /// Whether a fact is left out.
    #[must_use]
    pub fn leaves_out(&self, fact: &str) -> bool {
        self.measured.iter().flat_map(|row| &row.facts).any(|pattern| matches(pattern, fact))
    }
}

/// The table.
///
/// # Errors
/// When it cannot be read or understood.
pub fn load() -> Result<Table> {
    let path = directory().join("differences.toml");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    toml::from_str(&text).with_context(|| format!("cannot understand {}", path.display()))
}

/// Where a difference was seen.
#[derive(Debug, Clone, Copy)]
pub struct Coordinates<'p> {
    /// The case.
    pub case: &'p str,
    /// The engine.
    pub engine: &'p str,
    /// Our policy.
    pub policy: &'p str,
}

impl Tolerance {
    /// Whether it could be seen there at all.
    #[must_use]
    pub fn reaches(&self, place: Coordinates) -> bool {
        let any = |patterns: &[String], text: &str| {
            patterns.is_empty() || patterns.iter().any(|pattern| matches(pattern, text))
        };
        any(&self.cases, place.case) && any(&self.engines, place.engine) && any(&self.policies, place.policy)
    }

    /// Whether it explains a difference there.
    #[must_use]
    pub fn explains(&self, place: Coordinates, difference: &Difference) -> bool {
        let ours = difference.ours.as_deref();
        let both = [ours, difference.upstream.as_deref()].map(|value| value.unwrap_or("-"));
        let is_alike_without = |beyond: &String| {
            let rest = ours.map(|ours| ours.replacen(beyond, "", 1));
            rest.is_some() && rest == difference.upstream
        };
        self.reaches(place)
            && self.facts.iter().any(|pattern| matches(pattern, &difference.fact))
            && self.ours.as_ref().is_none_or(|pattern| matches(pattern, ours.unwrap_or("-")))
            && self.either.as_ref().is_none_or(|pattern| both.iter().any(|value| matches(pattern, value)))
            && (self.without.is_empty() || self.without.iter().any(is_alike_without))
    }
}

/// Whether a text is what the pattern says: `*` stands for anything, all else for itself. As long as the product of both at
/// worst.
#[must_use]
pub fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut parts: Vec<_> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_anything() {
        for (pattern, text, expected) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("a*", "ab", true),
            ("*b", "ab", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c", false),
            ("ab*ba", "aba", false),
            ("*", "", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn what_ours_has_beyond_upstream_is_all_that_differs() {
        let text = r#"
            name = "prefix"
            facts = ["said"]
            engines = ["docker-20*"]
            without = ["gateway: "]
            reason = "It is named."
        "#;
        let row: Tolerance = toml::from_str(text).unwrap();
        let explains = |engine, upstream: &str, ours: &str| {
            let [upstream, ours] = [upstream, ours].map(|text| Some(text.to_owned()));
            let place = Coordinates { case: "a", engine, policy: "off" };
            row.explains(place, &Difference { fact: "said".to_owned(), upstream, ours })
        };
        assert!(explains("docker-20.10", "failed: no", "failed: gateway: no"));
        assert!(!explains("docker-20.10", "failed: no", "failed: gateway: yes"));
        assert!(!explains("docker-28.5", "failed: no", "failed: gateway: no"));
    }

    #[test]
    fn what_one_of_both_has_explains() {
        let text = r#"
            name = "race"
            facts = ["step"]
            either = "cancelled"
            reason = "It was cancelled."
        "#;
        let row: Tolerance = toml::from_str(text).unwrap();
        let explains = |upstream: Option<&str>, ours: Option<&str>| {
            let [upstream, ours] = [upstream, ours].map(|text| text.map(str::to_owned));
            let place = Coordinates { case: "a", engine: "e", policy: "off" };
            row.explains(place, &Difference { fact: "step".to_owned(), upstream, ours })
        };
        assert!(explains(Some("cancelled"), Some("cached")) && explains(None, Some("cancelled")));
        assert!(!explains(Some("executed"), Some("cached")) && !explains(None, Some("cached")));
    }

    #[test]
    fn every_row_has_a_name_of_its_own_and_a_reason() {
        let rows = load().unwrap().difference;
        for (place, row) in rows.iter().enumerate() {
            assert!(rows[..place].iter().all(|other| other.name != row.name), "{} is there twice", row.name);
            assert!(!row.reason.trim().is_empty() && !row.facts.is_empty(), "{}", row.name);
        }
    }
}
