//! The storm: many jobs on one engine while somebody prunes it, and builds that are ended at random times.
//!
//! [`jobs`] runs jobs in parallel loops, ours and, beside them in the same run, the same without us; [`kills`] ends
//! builds. Everything seen is kept ([`raw`]), and docs/storm.md is made of it ([`report`]).

mod jobs;
mod kills;
pub mod raw;
pub mod report;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use xtask::engines::Kind;
use xtask::{machine, workspace};

use self::raw::{Raw, Side};
use crate::{Subject, results};

/// Where it is run: both stores of the newest engine, and the oldest engine.
const ENGINES: [Kind; 3] = [Kind::Docker28_5, Kind::Docker28_5Containerd, Kind::Docker20_10];

/// How many jobs, of ours and of the control, kills and parallel loops a run for the documentation has on an engine.
const JOBS: usize = 1000;
const CONTROL: usize = 100;
const KILLS: usize = 200;
const LOOPS: usize = 16;

/// Runs jobs beside a pruner and kills builds, with ci-build and without it
///
/// Without a choice, everything is run and docs/storm.md is written, which takes hours. With one, the results go to
/// target/storm, unless they are to update docs.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask storm", bin_name = "cargo xtask storm")]
pub struct Selection {
    /// Only this engine, as `cargo xtask engines list` names them [repeatable]
    #[arg(long = "engine", value_name = "ENGINE")]
    engines: Vec<Kind>,
    /// How many jobs with ci-build; 0 is none
    #[arg(long, value_name = "N", default_value_t = JOBS)]
    jobs: usize,
    /// How many jobs without it; 0 is none
    #[arg(long, value_name = "N", default_value_t = CONTROL)]
    control: usize,
    /// How many loops at once
    #[arg(long, value_name = "N", default_value_t = LOOPS)]
    loops: usize,
    /// How long the pruner rests, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 3)]
    rest: u64,
    /// How many builds are ended at random times; 0 is none
    #[arg(long, value_name = "N", default_value_t = KILLS)]
    kills: usize,
    /// Where the random times begin [default: from the clock]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Put the results of a choice into docs, in the place of what was there
    #[arg(long)]
    update: bool,
    /// Run nothing: make docs/storm.md anew from docs/lab/storm.json
    #[arg(long)]
    report: bool,
}

/// Runs what is selected and tells whether all was as promised.
///
/// # Errors
/// When an engine cannot be started, or something fails that no job can be blamed for.
pub fn run(selection: &Selection) -> Result<bool> {
    let docs = workspace::root().join("docs");
    if selection.report {
        write_page(&results::load::<Raw>(&docs.join("lab/storm.json"))?, &docs.join("storm.md"))?;
        return Ok(true);
    }
    ensure!(selection.loops > 0, "no loops run no jobs");
    let begin = Instant::now();
    let clock = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let seed = selection.seed.unwrap_or_else(|| clock().subsec_nanos().into());
    let (results, page) = places(selection, &docs)?;
    let mut raw = if selection.update { results::load(&results)? } else { Raw::default() };
    raw.machine = machine::description()?;
    let earlier = raw.seconds;
    let kinds = if selection.engines.is_empty() { ENGINES.to_vec() } else { selection.engines.clone() };
    for kind in kinds {
        let subject = Subject::start(kind)?;
        raw.engines.insert(kind.name().to_owned(), subject.engine.version().to_owned());
        if selection.kills > 0 {
            raw.put_kills(kills::run(&subject, selection.kills, seed)?);
        }
        let sides = [(Side::CiBuild, selection.jobs), (Side::Without, selection.control)];
        let rest = Duration::from_secs(selection.rest);
        for storm in jobs::run(subject, &sides, selection.loops, rest)? {
            raw.put_storm(storm);
        }
        raw.seconds = earlier + begin.elapsed().as_secs();
        // What there is so far, should the next engine cost us the rest.
        results::save(&raw, &results)?;
    }
    write_page(&raw, &page)?;
    eprintln!("wrote {} and {} after {} s", results.display(), page.display(), raw.seconds);
    let complaints = raw.complaints();
    for line in &complaints {
        eprintln!("not as promised: {line}");
    }
    Ok(complaints.is_empty())
}

fn places(selection: &Selection, docs: &Path) -> Result<(PathBuf, PathBuf)> {
    let is_whole = selection.engines.is_empty() && selection.jobs >= JOBS && selection.kills >= KILLS;
    if is_whole || selection.update {
        return Ok((docs.join("lab/storm.json"), docs.join("storm.md")));
    }
    let dir = workspace::target()?.join("storm");
    Ok((dir.join("storm.json"), dir.join("storm.md")))
}

fn write_page(raw: &Raw, path: &Path) -> Result<()> {
    fs::write(path, report::page(raw)).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_what_the_results_make() {
        let docs = workspace::root().join("docs");
        let raw: Raw = results::load(&docs.join("lab/storm.json")).unwrap();
        let page = fs::read_to_string(docs.join("storm.md")).unwrap();
        assert_eq!(page, report::page(&raw), "make it anew: cargo xtask storm --report");
    }
}
