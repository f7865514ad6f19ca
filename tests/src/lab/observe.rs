//! What is seen of a build, and of the engine after it.

use std::collections::BTreeSet;

use anyhow::Result;
use xtask::build::{Ended, Outcome};
use xtask::client::Client;
use xtask::command;

use super::raw::Run;
use super::whole_ms;

/// A build as it is kept, with the records that the engine has after it. `words` are said where a hazard strikes.
///
/// # Errors
/// When the engine does not tell.
pub(super) fn run(client: &Client, outcome: &Outcome, words: &str) -> Result<Run> {
    Ok(Run {
        ended: outcome.ended,
        wall_ms: whole_ms(outcome.wall),
        empty: empties(&outcome.output),
        forks: forks(&command::output(client.buildx().args(["du", "--verbose"]))?),
        told: !words.is_empty() && said(&outcome.output).any(|text| text.contains(words)),
        error: error(outcome),
    })
}

/// What steps say. The progress shows it behind a step's number and the time: `#9 0.123 the cache is empty`.
fn said(progress: &str) -> impl Iterator<Item = &str> {
    progress.lines().filter_map(|line| {
        let mut words = line.strip_prefix('#')?.splitn(3, ' ').skip(1);
        words.next()?.parse::<f64>().ok()?;
        words.next()
    })
}

/// How many steps said that their cache was empty.
fn empties(progress: &str) -> usize {
    said(progress).filter(|text| *text == "the cache is empty").count()
}

/// The records of cache mounts beyond one for each cache, in what `buildx du --verbose` says. A cache is known by what
/// `with id` names, and by the record that it starts from.
fn forks(usage: &str) -> usize {
    let mut records = 0;
    let mut caches = BTreeSet::new();
    for record in usage.split("\n\n").filter(|record| record.contains("exec.cachemount")) {
        let description =
            record.lines().find_map(|line| line.strip_prefix("Description:")).unwrap_or_default();
        let id = description.rsplit_once(" with id ").map(|(_, id)| id);
        let target = || description.split_once(" from ").map_or(description, |(target, _)| target);
        let parents: Vec<_> = record.lines().filter(|line| line.starts_with(" - ")).collect();
        records += 1;
        caches.insert((id.unwrap_or_else(target), parents));
    }
    records - caches.len()
}

/// The last error that the client showed, on one line.
fn error(outcome: &Outcome) -> Option<String> {
    if outcome.ended == Ended::Well {
        return None;
    }
    let mut errors = outcome.output.lines().filter_map(|line| line.strip_prefix("ERROR: "));
    errors.next_back().map(|line| line.chars().take(300).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_step_says_is_an_empty_cache() {
        let progress = "\
#8 [comer 4/4] RUN test -e /cache/full || { echo \"the cache is empty\"; exit 1; }
#8 0.104 the cache is empty
#8 ERROR: process \"/bin/sh -c test -e /cache/full || { echo \\\"the cache is empty\\\"\" did not complete
 > [comer 4/4] RUN test:
0.104 the cache is empty
";
        assert_eq!(empties(progress), 1);
    }

    #[test]
    fn two_records_of_one_cache_are_a_fork() {
        let record = |parents: &str, description: &str| {
            format!(
                "ID:\t\tx\n{parents}Mutable:\ttrue\nDescription:\t{description}\nType:\t\texec.cachemount\n"
            )
        };
        let usage = |records: &[String]| records.join("\n");
        let one = record("", "cached mount /a from exec /bin/sh -c a with id \"//a\"");
        let same = record("", "cached mount /b from exec /bin/sh -c b with id \"//a\"");
        let other = record("", "cached mount /a from exec /bin/sh -c a with id \"//b\"");
        let owned = record("Parents:\n - y\n", "cached mount /a from exec /bin/sh -c a with id \"//a\"");
        assert_eq!(forks(&usage(&[one.clone(), other, owned])), 0);
        assert_eq!(forks(&usage(&[one, same])), 1);
        assert_eq!(forks("Reclaimable:\t0B\n"), 0);
    }
}
