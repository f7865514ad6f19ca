//! What is seen of a build, and of the engine after it.

use std::collections::BTreeSet;

use anyhow::Result;
use xtask::build::{Ended, Outcome};
use xtask::client::Client;
use xtask::command;

use super::raw::Run;
use super::whole_ms;

/// What the engine keeps: what `buildx du --verbose` says, before a build or after it.
#[derive(Debug)]
pub(super) struct Usage(String);

impl Usage {
    /// # Errors
    /// When the engine does not tell.
    pub(super) fn of(client: &Client) -> Result<Self> {
        command::output(client.buildx().args(["du", "--verbose"])).map(Self)
    }

    fn records(&self) -> impl Iterator<Item = &str> {
        self.0.split("\n\n").filter(|record| record.contains("exec.cachemount"))
    }
}

/// A build as it is kept, with the records that the engine has after it and had not before. `words` are said where a
/// hazard strikes; `caches` is how many caches the build has, where that is known.
///
/// # Errors
/// When the engine does not tell.
pub(super) fn run(
    client: &Client,
    outcome: &Outcome,
    words: &str,
    caches: Option<usize>,
    before: &Usage,
) -> Result<Run> {
    Ok(Run {
        ended: outcome.ended,
        wall_ms: whole_ms(outcome.wall),
        empty: empties(&outcome.output),
        forks: forks(caches, before, &Usage::of(client)?),
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

/// The new records of cache mounts beyond one for each cache. What a build that hung still held when the cache was emptied
/// is older, and nobody else's fork.
///
/// A cache is known by what `with id` names, and by the record that it starts from. Docker 20.10 names no ids: there as many
/// records are right as the build has caches, and where that is not known, no fork is seen.
fn forks(caches: Option<usize>, before: &Usage, after: &Usage) -> usize {
    let id = |record: &str| field(record, "ID:").unwrap_or_default().to_owned();
    let old: BTreeSet<_> = before.records().map(id).collect();
    let new: Vec<_> = after.records().filter(|record| !old.contains(&id(record))).collect();
    let cache = |record: &&'_ str| {
        let (_, named) = field(record, "Description:")?.rsplit_once(" with id ")?;
        let parents: Vec<_> = record.lines().filter(|line| line.starts_with(" - ")).collect();
        Some((named.to_owned(), parents.concat()))
    };
    let known: Option<BTreeSet<_>> = new.iter().map(cache).collect();
    let right = known.map(|known| known.len()).or(caches).unwrap_or(new.len());
    new.len().saturating_sub(right)
}

fn field<'r>(record: &'r str, name: &str) -> Option<&'r str> {
    record.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
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
        let record = |id: &str, parents: &str, description: &str| {
            format!(
                "ID:\t\t{id}\n{parents}Mutable:\ttrue\nDescription:\t{description}\nType:\t\texec.cachemount\n"
            )
        };
        let usage = |records: &[&String]| Usage(records.iter().map(|record| format!("{record}\n")).collect());
        let one = record("r1", "", "cached mount /a from exec /bin/sh -c a with id \"//a\"");
        let same = record("r2", "", "cached mount /b from exec /bin/sh -c b with id \"//a\"");
        let other = record("r3", "", "cached mount /a from exec /bin/sh -c a with id \"//b\"");
        let owned =
            record("r4", "Parents:\n - y\n", "cached mount /a from exec /bin/sh -c a with id \"//a\"");
        let nothing = Usage("Reclaimable:\t0B\n".to_owned());
        assert_eq!(forks(None, &nothing, &usage(&[&one, &other, &owned])), 0);
        assert_eq!(forks(None, &nothing, &usage(&[&one, &same])), 1);
        assert_eq!(forks(None, &usage(&[&one]), &usage(&[&one, &same])), 0);
        assert_eq!(forks(None, &nothing, &nothing), 0);
        // Docker 20.10.
        let nameless = ["n1", "n2"].map(|id| record(id, "", "cached mount /a from exec /bin/sh -c a"));
        let nameless = usage(&[&nameless[0], &nameless[1]]);
        assert_eq!([1, 2].map(|caches| forks(Some(caches), &nothing, &nameless)), [1, 0]);
        assert_eq!(forks(None, &nothing, &nameless), 0);
    }
}
