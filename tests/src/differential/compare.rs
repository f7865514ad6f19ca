//! Ours against upstream, where upstream agrees with itself.

use serde::{Deserialize, Serialize};

use super::facts::Facts;

/// A fact that is not the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// Its name.
    pub fact: String,
    /// What upstream has, if it has the fact at all.
    pub upstream: Option<String>,
    /// What ours has.
    pub ours: Option<String>,
}

/// What a comparison found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Comparison {
    /// How many facts are equal.
    pub equal: usize,
    /// How many differ between two builds of upstream; only their presence was compared.
    pub unsteady: usize,
    /// How many of the equal ones are the digests of steps: these are of the very bytes that are solved.
    pub digests: usize,
    /// Those that differ.
    pub differences: Vec<Difference>,
}

/// Compares ours with one of several builds of upstream. What these do not agree on is no business of ours, except that it
/// must be there if all have it.
#[must_use]
pub fn compare(upstream: &Facts, again: &[Facts], ours: &Facts) -> Comparison {
    let mut comparison = Comparison::default();
    let difference = |fact: &str, upstream: Option<&str>, ours: Option<&str>| {
        let [upstream, ours] = [upstream, ours].map(|value| value.map(str::to_owned));
        Difference { fact: fact.to_owned(), upstream, ours }
    };
    for (fact, value) in upstream.iter() {
        let is_steady = again.iter().all(|again| again.get(fact) == Some(value));
        let is_always_there = again.iter().all(|again| again.get(fact).is_some());
        match ours.get(fact) {
            Some(own) if is_steady && own == value => {
                comparison.equal += 1;
                comparison.digests += usize::from(fact.contains(".digest["));
            }
            Some(_) if !is_steady => comparison.unsteady += 1,
            None if !is_always_there => comparison.unsteady += 1,
            own => comparison.differences.push(difference(fact, Some(value), own)),
        }
    }
    for (fact, own) in ours.iter().filter(|(fact, _)| upstream.get(fact).is_none()) {
        if again.iter().any(|again| again.get(fact).is_some()) {
            comparison.unsteady += 1;
        } else {
            comparison.differences.push(difference(fact, None, Some(own)));
        }
    }
    comparison
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(all: &[(&str, &str)]) -> Facts {
        let mut facts = Facts::default();
        all.iter().for_each(|(name, value)| facts.put(*name, value));
        facts
    }

    #[test]
    fn what_upstream_does_not_agree_on_is_only_to_be_there() {
        let upstream = facts(&[("same", "1"), ("time", "1"), ("gone", "1"), ("other", "1"), ("here", "1")]);
        let again = facts(&[("same", "1"), ("time", "2"), ("gone", "3"), ("other", "1"), ("there", "1")]);
        let ours = facts(&[("same", "1"), ("time", "3"), ("other", "2"), ("there", "1"), ("new", "1")]);
        let comparison = compare(&upstream, &[again], &ours);
        assert_eq!((comparison.equal, comparison.unsteady), (1, 3));
        let shown = comparison.differences.iter().map(|difference| {
            format!("{}: {:?} {:?}", difference.fact, difference.upstream, difference.ours)
        });
        assert_eq!(
            shown.collect::<Vec<_>>(),
            [r#"gone: Some("1") None"#, r#"other: Some("1") Some("2")"#, r#"new: None Some("1")"#]
        );
    }
}
