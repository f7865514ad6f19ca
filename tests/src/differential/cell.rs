//! A case on an engine: built by upstream, by ours with each policy, and by upstream again.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Error, Result};
use serde::{Deserialize, Serialize};
use xtask::engines::Kind;

use super::bench::Bench;
use super::case::Case;
use super::compare::{Difference, compare};
use super::facts::Facts;
use super::image::Layers;
use super::invoke::Way;
use super::services::Services;
use super::stage::Stage;
use super::tolerance::{Coordinates, Table};
use crate::definition;

/// What became of a case on an engine with one of our policies.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Cell {
    /// The topic of the case.
    pub topic: String,
    /// The case.
    pub case: String,
    /// The engine.
    pub engine: String,
    /// Our policy.
    pub policy: Way,
    /// Why there is nothing to compare.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_run: Option<String>,
    /// What is wrong with the case itself, or with its being run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub complaint: Option<String>,
    /// How upstream ended.
    pub exit: String,
    /// How many facts are equal.
    pub equal: usize,
    /// How many of these are digests of steps.
    pub digests: usize,
    /// How many upstream does not agree with itself on.
    pub unsteady: usize,
    /// How many definitions were captured of both frontends in one build, and held beside each other byte by byte. None
    /// with a policy that may change them, and where no definition can be had.
    #[serde(default)]
    pub definitions: usize,
    /// How often ours was built again because the machine was too busy to start its container. None in results from before
    /// that was counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rebuilt: Option<u32>,
    /// The day.
    pub date: String,
    /// How long all builds of the case on this engine took, in milliseconds.
    pub wall_ms: u64,
    /// How many differences each row explains.
    pub explained: BTreeMap<String, usize>,
    /// The differences without a reason.
    pub differences: Vec<Difference>,
}

/// The verdict on a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Nothing differs.
    Equal,
    /// What differs has a reason.
    Explained,
    /// Something differs without a reason, or the case is not what its data says.
    Wrong,
    /// It could not be run.
    NotRun,
}

const POLICIES: [Way; 2] = [Way::Off, Way::Auto];

impl Cell {
    fn new(case: &Case, kind: Kind, policy: Way) -> Self {
        Self {
            topic: case.topic.clone(),
            case: case.name.clone(),
            engine: kind.name().to_owned(),
            policy,
            not_run: None,
            complaint: None,
            exit: String::new(),
            equal: 0,
            digests: 0,
            unsteady: 0,
            definitions: 0,
            rebuilt: Some(0),
            date: String::new(),
            wall_ms: 0,
            explained: BTreeMap::new(),
            differences: Vec::new(),
        }
    }

    /// The verdict.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match self {
            Self { not_run: Some(_), .. } => Verdict::NotRun,
            Self { complaint: Some(_), .. } => Verdict::Wrong,
            Self { differences, .. } if !differences.is_empty() => Verdict::Wrong,
            Self { explained, .. } if !explained.is_empty() => Verdict::Explained,
            _ => Verdict::Equal,
        }
    }
}

/// Runs a case: a cell for each policy. Nothing that a build does is an error.
#[must_use]
pub fn run(case: &Case, bench: &Bench, services: &Services, layers: &mut Layers, table: &Table) -> Vec<Cell> {
    let begin = Instant::now();
    let kind = bench.engine.kind();
    let cell = |policy| Cell::new(case, kind, policy);
    let mut cells = match services.lacks(&case.needs).or(bench.lacks(&case.needs)) {
        Some(reason) => POLICIES.map(|policy| Cell { not_run: Some(reason.to_owned()), ..cell(policy) }),
        None => {
            let built = Stage::new(case, bench, services).and_then(|stage| {
                let [mut off, auto] = build(&stage, layers, table)?;
                definitions(&stage, &mut off)?;
                Ok([off, auto])
            });
            built.unwrap_or_else(|error| {
                POLICIES.map(|policy| Cell { complaint: Some(format!("{error:#}")), ..cell(policy) })
            })
        }
    };
    let wall_ms = u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX);
    cells.iter_mut().for_each(|cell| cell.wall_ms = wall_ms);
    cells.into()
}

/// Upstream, ours, upstream again; and where something differs without a reason, upstream more often, in case that it is
/// the engine's own race.
fn build(stage: &Stage, layers: &mut Layers, table: &Table) -> Result<[Cell; 2]> {
    const MOST: usize = 3;
    const MOST_OF_ONE: u32 = 3;
    let mut build = |way| {
        let mut rebuilt = 0;
        loop {
            let begin = Instant::now();
            let facts = stage.build(way, layers)?;
            if rebuilt + 1 == MOST_OF_ONE || !is_starved(&facts, begin.elapsed()) {
                return Ok::<_, Error>((facts.without(|fact| table.leaves_out(fact)), rebuilt));
            }
            rebuilt += 1;
        }
    };
    let (upstream, _) = build(Way::Upstream)?;
    let ours = [build(Way::Off)?, build(Way::Auto)?];
    let mut again = vec![build(Way::Upstream)?.0];
    loop {
        let [off, auto] = &ours;
        let cells = [(Way::Off, off), (Way::Auto, auto)].map(|(policy, (ours, rebuilt))| Cell {
            rebuilt: Some(*rebuilt),
            ..judge(stage, table, policy, &upstream, &again, ours)
        });
        if again.len() == MOST || cells.iter().all(|cell| cell.differences.is_empty()) {
            return Ok(cells);
        }
        again.push(build(Way::Upstream)?.0);
    }
}

/// So long the engine waits for the first bytes of a frontend that is an image (docs/decisions.md).
const PATIENCE: Duration = Duration::from_secs(10);

/// Whether the machine was too busy to start a frontend's container. A frontend that ends by itself has the same message, and
/// sooner: that is for all to see.
fn is_starved(facts: &Facts, took: Duration) -> bool {
    let said = ["cold.said", "warm.said"].into_iter().filter_map(|fact| facts.get(fact));
    took >= PATIENCE && said.into_iter().any(|said| said.contains("frontend grpc server closed unexpectedly"))
}

/// Holds the definitions that ours solves beside upstream's.
fn definitions(stage: &Stage, cell: &mut Cell) -> Result<()> {
    let compared = definition::alike_once(|| stage.definitions())?;
    let Some((count, different)) = compared else { return Ok(()) };
    cell.definitions = count;
    cell.differences.extend(different.into_iter().map(|fact| Difference {
        fact,
        upstream: Some("its own bytes".to_owned()),
        ours: Some("other ones".to_owned()),
    }));
    Ok(())
}

fn judge(stage: &Stage, table: &Table, policy: Way, upstream: &Facts, again: &[Facts], ours: &Facts) -> Cell {
    let (case, kind) = (stage.case, stage.kind());
    let exit = upstream.get("cold.exit").unwrap_or_default().to_owned();
    let complaint = (case.succeeds_on(kind) != (exit == "0")).then(|| {
        let said = upstream.get("cold.said").unwrap_or_default();
        format!("upstream ended with {exit}, which its data does not say: {}", last_lines(said))
    });
    let comparison = compare(upstream, again, ours);
    let place = Coordinates { case: &case.name, engine: kind.name(), policy: policy.name() };
    let mut cell = Cell {
        complaint,
        exit,
        equal: comparison.equal,
        digests: comparison.digests,
        unsteady: comparison.unsteady,
        ..Cell::new(case, kind, policy)
    };
    for difference in comparison.differences {
        match table.explains(place, &difference) {
            Some(row) => *cell.explained.entry(row.name.clone()).or_default() += 1,
            None => cell.differences.push(shortened(difference)),
        }
    }
    cell
}

/// The end of a message, on one line.
pub(super) fn last_lines(text: &str) -> String {
    let lines: Vec<_> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(4)..].join(" / ")
}

/// So that results stay readable.
fn shortened(difference: Difference) -> Difference {
    const LONGEST: usize = 600;
    let short = |text: String| match text.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}… ({} bytes)", &text[..at], text.len()),
        None => text,
    };
    Difference { upstream: difference.upstream.map(short), ours: difference.ours.map(short), ..difference }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_had_no_time_to_begin_is_built_again() {
        let mut facts = Facts::default();
        facts.put("cold.said", "ERROR: failed to solve: frontend grpc server closed unexpectedly");
        assert!(is_starved(&facts, PATIENCE));
        assert!(!is_starved(&facts, Duration::from_secs(2)), "it ended by itself");
        let mut facts = Facts::default();
        facts.put("cold.said", "ERROR: failed to solve: exit code: 1");
        assert!(!is_starved(&facts, PATIENCE));
    }
}
