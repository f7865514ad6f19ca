//! The hazard laboratory: Dockerfiles that break, built by every strategy on every engine, again and again.
//!
//! What there is to build and how is data ([`situation`], [`strategy`]); every run is kept ([`raw`]), held against what is
//! promised, and shown ([`report`]).

mod keys;
mod matrix;
mod observe;
mod odd;
mod racing_runc;
pub mod raw;
pub mod report;
pub mod situation;
pub mod strategy;
mod trial;
mod verdict;
mod walls;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::{Parser, ValueEnum};
use xtask::emulation::Emulation;
use xtask::engines::{ImageStore, Kind};
use xtask::{images, workspace};

use self::raw::Raw;
use self::situation::{SITUATIONS, Situation};
use self::strategy::{STRATEGIES, Strategy};
use crate::Subject;
use crate::results::{self, Kept};

/// Builds Dockerfiles that break, by every strategy, on every engine
///
/// Without a choice, everything is run and docs/lab is written. With one, the results go to target/lab, unless they are to
/// update docs.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask lab", bin_name = "cargo xtask lab")]
pub struct Selection {
    /// Only this engine, as `cargo xtask engines list` names them [repeatable]
    #[arg(long = "engine", value_name = "ENGINE")]
    engines: Vec<Kind>,
    /// Only this situation [repeatable]
    #[arg(long = "situation", value_name = "NAME", value_parser = names(SITUATIONS.iter().map(|situation| situation.name)))]
    situations: Vec<String>,
    /// Only this strategy [repeatable]
    #[arg(long = "strategy", value_name = "NAME", value_parser = names(STRATEGIES.iter().map(|strategy| strategy.name)))]
    strategies: Vec<String>,
    /// Of the walls, only those of this file [repeatable]
    #[arg(long = "file", value_name = "NAME", value_parser = names(walls::files()))]
    files: Vec<String>,
    /// Only this part [repeatable]
    #[arg(long = "part", value_name = "PART")]
    parts: Vec<Part>,
    /// How often each cell is run, also those that are usually run more or less often
    #[arg(long, value_name = "N")]
    runs: Option<usize>,
    /// Put the results of a choice into docs, in the place of what was there
    #[arg(long)]
    update: bool,
    /// Run nothing: make docs/lab.md anew from docs/lab/matrix.json
    #[arg(long)]
    report: bool,
}

/// A part of the laboratory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Situation by strategy by engine
    Cells,
    /// How long builds take in which nothing fails
    Walls,
    /// What stays in the cache
    Keys,
    /// Input that nobody should give
    Odd,
}

fn names(names: impl Iterator<Item = &'static str>) -> clap::builder::PossibleValuesParser {
    names.collect::<Vec<_>>().into()
}

impl Selection {
    fn is_all(&self) -> bool {
        self.engines.is_empty()
            && self.situations.is_empty()
            && self.strategies.is_empty()
            && self.files.is_empty()
            && self.parts.is_empty()
    }

    fn has_part(&self, part: Part) -> bool {
        let not_of_cells = !self.situations.is_empty() && part != Part::Cells;
        let not_of_walls = !self.files.is_empty() && part != Part::Walls;
        self.parts.contains(&part) || self.parts.is_empty() && !not_of_cells && !not_of_walls
    }

    fn has_file(&self, name: &str) -> bool {
        self.files.is_empty() || self.files.iter().any(|chosen| chosen == name)
    }

    fn has_situation(&self, name: &str) -> bool {
        self.situations.is_empty() || self.situations.iter().any(|chosen| chosen == name)
    }

    fn has_strategy(&self, name: &str) -> bool {
        self.strategies.is_empty() || self.strategies.iter().any(|chosen| chosen == name)
    }

    /// More often on the engine that most have.
    fn usual_runs(&self, kind: Kind) -> usize {
        let usual = if kind == Kind::Docker28_5 { 5 } else { 3 };
        self.runs.unwrap_or(usual)
    }

    fn runs(&self, kind: Kind, situation: &Situation, strategy: &Strategy) -> usize {
        let usual = self.usual_runs(kind);
        match (self.runs, situation.control_runs) {
            (None, Some(runs)) if strategy.name == "upstream" => runs,
            _ => strategy.runs_at_most.unwrap_or(usual).min(usual),
        }
    }
}

/// Runs what is selected and tells whether all was as promised.
///
/// # Errors
/// When an engine cannot be started, or something fails that no build can be blamed for.
pub fn run(selection: &Selection) -> Result<bool> {
    let docs = workspace::root().join("docs");
    if selection.report {
        write_page(&results::load::<Raw>(&docs.join("lab/matrix.json"))?, &docs.join("lab.md"))?;
        return Ok(true);
    }
    ensure!(selection.runs != Some(0), "no runs tell nothing");
    let (path, page) = places(selection, docs)?;
    let raw = if selection.update { results::load(&path)? } else { Raw::default() };
    let mut kept = Kept::new(raw, path)?;
    let kinds = if selection.engines.is_empty() { Kind::ALL.to_vec() } else { selection.engines.clone() };
    for kind in kinds {
        engine(kind, selection, &mut kept)?;
    }
    let Kept { raw, path, .. } = kept;
    write_page(&raw, &page)?;
    eprintln!("wrote {} and {} after {} s", path.display(), page.display(), raw.seconds);
    for line in verdict::not_run(&raw) {
        eprintln!("not run: {line}");
    }
    let complaints = verdict::complaints(&raw);
    for line in &complaints {
        eprintln!("not as promised: {line}");
    }
    Ok(complaints.is_empty())
}

/// Where the results and the page go: only those of a whole run are for the documentation.
fn places(selection: &Selection, docs: PathBuf) -> Result<(PathBuf, PathBuf)> {
    if selection.is_all() || selection.update {
        return Ok((docs.join("lab/matrix.json"), docs.join("lab.md")));
    }
    let dir = workspace::target()?.join("lab");
    Ok((dir.join("matrix.json"), dir.join("lab.md")))
}

fn write_page(raw: &Raw, path: &std::path::Path) -> Result<()> {
    fs::write(path, report::page(raw)).with_context(|| format!("cannot write {}", path.display()))
}

/// All parts on one engine.
fn engine(kind: Kind, selection: &Selection, kept: &mut Kept<Raw>) -> Result<()> {
    // The engine asks the kernel once, when it starts, which platforms there are.
    let emulation = match kind.image_store() {
        ImageStore::Containerd if selection.has_part(Part::Cells) && selection.has_situation("platforms") => {
            Emulation::of_arm64().map_err(|error| format!("{error:#}"))
        }
        _ => Err("it is not for this engine".to_owned()),
    };
    let subject = Subject::start(kind)?;
    images::debian(&subject.client)?;
    if emulation.is_ok() {
        images::busybox_of_platforms(&subject.client)?;
    }
    let engines = [(kind.name().to_owned(), subject.engine.version().to_owned())].into();
    kept.add(Raw { engines, ..Raw::default() })?;
    if selection.has_part(Part::Cells) {
        matrix::run(&subject, selection, &emulation, |cells| kept.add(Raw { cells, ..Raw::default() }))?;
    }
    if selection.has_part(Part::Walls) {
        kept.add(Raw { walls: walls::run(&subject, selection)?, ..Raw::default() })?;
    }
    if selection.has_part(Part::Keys) {
        kept.add(Raw { keys: keys::run(&subject, selection)?, ..Raw::default() })?;
    }
    if selection.has_part(Part::Odd) {
        kept.add(Raw { odd: odd::run(&subject, selection)?, ..Raw::default() })?;
    }
    subject.engine.stop()
}

/// A duration in whole milliseconds.
fn whole_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
