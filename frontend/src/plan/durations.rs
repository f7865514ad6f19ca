//! How long the steps of earlier builds took.
//!
//! Only the order of magnitude counts, and it has to be the same from build to build: whatever is decided by it changes
//! what is built, and with it what is cached. So a duration is a power of two, and a new measurement moves it only if it is
//! further from it than a factor of two.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::graph::Step;

/// What a RUN takes that nobody has measured.
const UNKNOWN_RUN: Duration = Duration::from_secs(1);

/// What any other step takes that nobody has measured.
const UNKNOWN: Duration = Duration::from_millis(50);

/// The smallest and the largest duration that is kept, as powers of two of a second: a millisecond, 36 hours.
const EXPONENTS: std::ops::RangeInclusive<i32> = -10..=17;

/// Measured durations by step.
///
/// As a document: `{"schema":1,"seconds":{"<key>":4,…}}`, in the order of the keys. A key is made of the step's stage and
/// command alone, so it is the same for a text and a definition, and whatever stands around the step; but a definition has
/// the values of variables in a command and the beginning of a heredoc, and a text has neither. The copies of a step for several platforms are one; the
/// longest of them counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Durations {
    /// By key, as powers of two of a second.
    exponents: BTreeMap<String, i32>,
}

/// A document that holds no durations.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("these are no durations of steps: {0}")]
pub struct DurationsError(String);

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    schema: u32,
    seconds: BTreeMap<String, f64>,
}

impl Durations {
    /// Reads a document.
    ///
    /// # Errors
    /// It is not JSON, not of this form, or of another version of it, or a duration is not a number above zero.
    pub fn parse(document: &str) -> Result<Self, DurationsError> {
        let document: Document =
            serde_json::from_str(document).map_err(|error| DurationsError(error.to_string()))?;
        if document.schema != 1 {
            return Err(DurationsError(format!("schema {} is not known, 1 is", document.schema)));
        }
        let read = |(key, seconds): (String, f64)| {
            let is_duration = seconds.is_finite() && seconds > 0.0;
            let error = || DurationsError(format!("{key:?} takes {seconds} seconds"));
            is_duration.then(|| (key.clone(), exponent(seconds))).ok_or_else(error)
        };
        Ok(Self { exponents: document.seconds.into_iter().map(read).collect::<Result<_, _>>()? })
    }

    /// Notes the steps of one build. What is known of other steps stays.
    pub fn record<'s>(&mut self, measured: impl IntoIterator<Item = (&'s Step, Duration)>) {
        let mut longest = BTreeMap::<_, Duration>::new();
        for (step, duration) in measured {
            let known = longest.entry(key(step)).or_default();
            *known = duration.max(*known);
        }
        for (key, duration) in longest {
            let exact = duration.as_secs_f64().max(f64::MIN_POSITIVE).log2();
            let known = self.exponents.get(&key);
            if known.is_none_or(|known| (exact - f64::from(*known)).abs() > 1.0) {
                self.exponents.insert(key, exponent(duration.as_secs_f64()));
            }
        }
    }

    /// Forgets what is beyond so many steps: first those that are not among `steps`, then the shortest, which matter least.
    pub fn keep<'s>(&mut self, most: usize, steps: impl IntoIterator<Item = &'s Step>) {
        if self.exponents.len() <= most {
            return;
        }
        let there: BTreeSet<_> = steps.into_iter().map(key).collect();
        let mut known: Vec<_> = std::mem::take(&mut self.exponents).into_iter().collect();
        known.sort_by_key(|(key, exponent)| (!there.contains(key), Reverse(*exponent), key.clone()));
        self.exponents = known.into_iter().take(most).collect();
    }

    /// Whether nothing was measured.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.exponents.is_empty()
    }

    /// How long a step took, where that was measured.
    #[must_use]
    pub fn measured(&self, step: &Step) -> Option<Duration> {
        if self.exponents.is_empty() {
            return None;
        }
        let exponent = self.exponents.get(&key(step))?;
        Some(Duration::from_secs_f64(f64::from(*exponent).exp2()))
    }

    /// How long a step takes: as measured, else one second for a RUN and 50 ms for anything else.
    #[must_use]
    pub fn of(&self, step: &Step) -> Duration {
        self.measured(step).unwrap_or(if step.is_run() { UNKNOWN_RUN } else { UNKNOWN })
    }
}

/// The document.
impl fmt::Display for Durations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.exponents.iter().map(|(key, exponent)| (key.clone(), f64::from(*exponent).exp2()));
        let document = Document { schema: 1, seconds: seconds.collect() };
        f.write_str(&serde_json::to_string(&document).map_err(|_| fmt::Error)?)
    }
}

fn exponent(seconds: f64) -> i32 {
    let exponent = seconds.max(f64::MIN_POSITIVE).log2().round();
    #[allow(clippy::cast_possible_truncation)] // Within a few thousand.
    let exponent = exponent as i32;
    exponent.clamp(*EXPONENTS.start(), *EXPONENTS.end())
}

/// What names a step from build to build: a digest, since a command may hold what should not be written down. The flags
/// do not count: definitions have them in a step's title, texts do not, and plans change them.
fn key(step: &Step) -> String {
    let mut hash = Sha256::new();
    hash.update(step.stage.as_deref().unwrap_or("stage-0"));
    hash.update([0]);
    let mut words = step.title.split_whitespace();
    let keyword = words.next();
    for word in keyword.into_iter().chain(words.skip_while(|word| word.starts_with("--"))) {
        hash.update(word);
        hash.update(b" ");
    }
    hash.finalize()[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(stage: &str, title: &str) -> Step {
        Step { stage: Some(stage.to_owned()), title: title.to_owned(), ..Step::default() }
    }

    fn seconds(durations: &Durations, step: &Step) -> f64 {
        durations.of(step).as_secs_f64()
    }

    #[test]
    fn noise_moves_nothing_and_a_change_does() {
        let (mut durations, make) = (Durations::default(), step("a", "RUN make"));
        let mut after = |measured: f64| {
            durations.record([(&make, Duration::from_secs_f64(measured))]);
            seconds(&durations, &make)
        };
        assert_eq!([3.0, 5.9, 7.9, 2.1].map(&mut after), [4.0; 4], "within a factor of two of the first");
        assert_eq!([9.0, 5.0, 16.0].map(&mut after), [8.0; 3]);
        assert_eq!([0.0, 1e9].map(&mut after), [0.000_976_562, 131_072.0]);
    }

    #[test]
    fn a_text_and_a_definition_mean_the_same_step() {
        let mut durations = Durations::default();
        durations.record([
            (&step("a", "RUN make  all"), Duration::from_secs(8)),
            (&step("a", "RUN --network=none make all"), Duration::from_secs(4)),
        ]);
        let in_definition = step("a", "RUN --mount=type=cache,target=/c,sharing=locked make all");
        assert_eq!(seconds(&durations, &in_definition), 8.0, "the longest of one build's copies");
        for other in [step("b", "RUN make all"), step("a", "RUN make --all"), step("a", "COPY make all")] {
            assert_eq!(durations.measured(&other), None, "{other:?}");
        }
        assert_eq!(seconds(&durations, &step("b", "RUN make all")), 1.0);
        assert_eq!(seconds(&durations, &step("b", "COPY make all")), 0.05);
    }

    #[test]
    fn what_is_too_much_is_forgotten() {
        let steps = [("a", 8), ("b", 4), ("c", 2)].map(|(stage, seconds)| (step(stage, "RUN make"), seconds));
        let mut durations = Durations::default();
        durations.record(steps.iter().map(|(step, seconds)| (step, Duration::from_secs(*seconds))));
        let known =
            |durations: &Durations| steps.each_ref().map(|(step, _)| durations.measured(step).is_some());
        durations.keep(3, []);
        assert_eq!(known(&durations), [true; 3]);
        durations.keep(2, [&steps[2].0]);
        assert_eq!(known(&durations), [true, false, true], "the longest, and what is still there");
        durations.keep(0, []);
        assert!(durations.is_empty());
    }

    #[test]
    fn a_document_is_read_as_it_was_written() {
        let mut durations = Durations::default();
        durations.record([(&step("a", "RUN make"), Duration::from_millis(300))]);
        insta::assert_snapshot!(durations, @r#"{"schema":1,"seconds":{"72d2863ae1bbc919":0.25}}"#);
        assert_eq!(Durations::parse(&durations.to_string()), Ok(durations));
        let wrong = [
            "",
            "[]",
            r#"{"schema":2,"seconds":{}}"#,
            r#"{"schema":1,"seconds":{"a":0}}"#,
            r#"{"schema":1,"seconds":{},"x":1}"#,
        ];
        insta::assert_snapshot!(wrong.map(|wrong| Durations::parse(wrong).unwrap_err().to_string()).join("\n"), @r#"
        these are no durations of steps: EOF while parsing a value at line 1 column 0
        these are no durations of steps: invalid length 0, expected struct Document with 2 elements at line 1 column 2
        these are no durations of steps: schema 2 is not known, 1 is
        these are no durations of steps: "a" takes 0 seconds
        these are no durations of steps: unknown field `x`, expected `schema` or `seconds` at line 1 column 28
        "#);
    }
}
