//! The differential suite: builds of every kind, by upstream and by ours, compared down to the last file.
//!
//! What is built is data ([`case`]); what is known of a build is a flat list of facts ([`facts`]), so that comparing is one
//! loop ([`compare`]); what may differ is data again ([`tolerance`]).

pub mod bench;
pub mod case;
pub mod cell;
pub mod compare;
#[cfg(test)]
mod controls;
pub mod facts;
pub mod files;
pub mod image;
pub mod invoke;
pub mod progress;
pub mod raw;
pub mod report;
pub mod serve;
pub mod services;
mod stage;
pub mod tolerance;
pub mod tree;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;
use xtask::engines::Kind;
use xtask::{command, machine, workspace};

use self::bench::Bench;
use self::case::Case;
use self::cell::{Cell, Verdict};
use self::image::Layers;
use self::raw::Raw;
use self::services::Services;
use self::tolerance::Table;
use crate::results;

/// Builds the cases of testdata/differential by upstream and by ours, and compares
///
/// Without a choice, everything is run and docs/differential.md is written. With one, the results go to
/// target/differential, unless they are to update docs.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask differential", bin_name = "cargo xtask differential")]
pub struct Selection {
    /// Only this engine, as `cargo xtask engines list` names them [repeatable]
    #[arg(long = "engine", value_name = "ENGINE")]
    engines: Vec<Kind>,
    /// Only the cases of this name; `*` stands for anything [repeatable]
    #[arg(long = "case", value_name = "NAME")]
    cases: Vec<String>,
    /// Only the cases of this topic [repeatable]
    #[arg(long = "topic", value_name = "TOPIC")]
    topics: Vec<String>,
    /// Put the results into docs, in place of those of the same cases and engines
    #[arg(long)]
    update: bool,
    /// How many engines work at the same time
    #[arg(long, value_name = "N", default_value_t = 2)]
    jobs: usize,
    /// Run nothing: hold docs/lab/differential.json against the table of differences once more, and make docs/differential.md
    /// anew from it
    #[arg(long)]
    report: bool,
}

impl Selection {
    fn is_for_docs(&self) -> bool {
        self.update || self.engines.is_empty() && self.cases.is_empty() && self.topics.is_empty()
    }

    fn has(&self, case: &Case) -> bool {
        let is_named = self.cases.iter().any(|pattern| tolerance::matches(pattern, &case.name));
        (self.cases.is_empty() || is_named) && (self.topics.is_empty() || self.topics.contains(&case.topic))
    }
}

/// Runs what is selected and tells whether all was as promised.
///
/// # Errors
/// When an engine cannot be started, or something fails that no build can be blamed for.
pub fn run(selection: &Selection) -> Result<bool> {
    let table = tolerance::load()?;
    let (results, page) = places(selection)?;
    if selection.report {
        let mut raw: Raw = results::load(&results)?;
        raw.judge_again(&table);
        results::save(&raw, &results)?;
        write_page(&raw, &table, &page)?;
        return Ok(true);
    }
    let all = case::load()?;
    let cases: Vec<_> = all.iter().filter(|case| selection.has(case)).cloned().collect();
    ensure!(!cases.is_empty(), "there is no such case\n  help: they stand in testdata/differential");
    let begin = Instant::now();
    let services = Services::start()?;
    let mut raw = if selection.update { results::load(&results)? } else { Raw::default() };
    raw.cells.retain(|cell| all.iter().any(|case| case.name == cell.case));
    raw.machine = machine::description()?;
    results::save(&raw, &results)?;
    let suite = Suite { cases, table, services, results: Mutex::new(results) };
    suite.run(selection)?;
    let Suite { table, results, .. } = suite;
    let results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    let raw: Raw = results::load(&results)?;
    write_page(&raw, &table, &page)?;
    eprintln!("wrote {} and {} after {} s", results.display(), page.display(), begin.elapsed().as_secs());
    let complaints = raw.complaints();
    eprintln!("{} facts are not as promised", complaints.len());
    let idle = if selection.is_for_docs() { raw.idle(&table) } else { Vec::new() };
    for row in &idle {
        eprintln!("not as promised: no build differs any more as {} says", row.name);
    }
    Ok(complaints.is_empty() && idle.is_empty())
}

/// What all engines share.
struct Suite {
    cases: Vec<Case>,
    table: Table,
    services: Services,
    /// The file, which one engine at a time adds to.
    results: Mutex<PathBuf>,
}

impl Suite {
    /// Several engines at once, each with one case at a time.
    fn run(&self, selection: &Selection) -> Result<()> {
        let kinds = if selection.engines.is_empty() { &Kind::ALL } else { &*selection.engines };
        let next = AtomicUsize::new(0);
        let work = || {
            while let Some(kind) = kinds.get(next.fetch_add(1, Ordering::Relaxed)) {
                self.engine(*kind).with_context(|| format!("{} cannot be compared on", kind.name()))?;
            }
            Ok(())
        };
        thread::scope(|scope| {
            let workers: Vec<_> = (0..selection.jobs.max(1)).map(|_| scope.spawn(work)).collect();
            // A worker that panics has told why.
            workers
                .into_iter()
                .try_for_each(|worker| worker.join().unwrap_or_else(|_| bail!("a worker panicked")))
        })
    }

    fn engine(&self, kind: Kind) -> Result<()> {
        let bench = Bench::start(kind, &self.services)?;
        let version = bench.engine.version().to_owned();
        let client = command::output(bench.client.buildx().arg("version"))?.trim().to_owned();
        self.add(|raw| {
            raw.engines.insert(kind.name().to_owned(), version);
            raw.client = client;
        })?;
        let mut layers = Layers::default();
        // One after the other, because each begins with an empty cache.
        for (number, case) in self.cases.iter().enumerate() {
            let begin = Instant::now();
            let cells = cell::run(case, &bench, &self.services, &mut layers, &self.table);
            // What an engine that is gone made of a case says nothing of the case.
            command::run(bench.client.docker().arg("version")).context("the engine is gone")?;
            let verdict = cells.iter().map(Cell::verdict).max().unwrap_or(Verdict::NotRun);
            let (ms, name) = (begin.elapsed().as_millis(), kind.name());
            eprintln!("{name} {}/{} {}: {verdict:?}, {ms} ms", number + 1, self.cases.len(), case.name);
            for line in raw::complaints(&cells) {
                eprintln!("not as promised: {line}");
            }
            self.add(|raw| raw.renew(cells))?;
        }
        bench.engine.stop()
    }

    /// Adds to the results, at once: a run is long, and what stops it should not cost all of it.
    fn add(&self, change: impl FnOnce(&mut Raw)) -> Result<()> {
        let results = self.results.lock().unwrap_or_else(PoisonError::into_inner);
        let mut raw: Raw = results::load(&results)?;
        change(&mut raw);
        results::save(&raw, &results)
    }
}

/// Where the results and the page go: only those of a whole run are for the documentation.
fn places(selection: &Selection) -> Result<(PathBuf, PathBuf)> {
    if selection.is_for_docs() {
        let docs = workspace::root().join("docs");
        return Ok((docs.join("lab/differential.json"), docs.join("differential.md")));
    }
    let dir = workspace::target()?.join("differential");
    Ok((dir.join("differential.json"), dir.join("differential.md")))
}

fn write_page(raw: &Raw, table: &Table, path: &Path) -> Result<()> {
    fs::write(path, report::page(raw, table)).with_context(|| format!("cannot write {}", path.display()))
}
