//! The prune laboratory: jobs of several steps beside a pruner that never rests, ours or the engine's own; prunes that are
//! killed; and how fast ours is.

pub mod fake;
pub mod job;
pub mod kill;
pub mod load;
pub mod raw;
pub mod report;
pub mod speed;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};
use xtask::engines::{self, Kind, Options};
use xtask::registry::Registry;
use xtask::{artifacts, images, machine, workspace};

use self::job::Site;
use self::load::PRUNERS;
use self::raw::{Earlier, Raw};
use crate::results;

/// Runs CI jobs beside prunes, kills prunes, and measures them
///
/// Without a choice, everything is run and docs/lab/prune.json, docs/bench/prune.json and docs/lab-prune.md are written.
/// With one, the results go to target/lab, unless they are to update docs.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask lab-prune", bin_name = "cargo xtask lab-prune")]
pub struct Selection {
    /// Only this engine, as `cargo xtask engines list` names them [repeatable]
    #[arg(long = "engine", value_name = "ENGINE")]
    engines: Vec<Kind>,
    /// Only this pruner [repeatable]
    #[arg(long = "pruner", value_name = "NAME", value_parser = PRUNERS.iter().map(|pruner| pruner.name).collect::<Vec<_>>())]
    pruners: Vec<String>,
    /// Only this part [repeatable]
    #[arg(long = "part", value_name = "PART")]
    parts: Vec<Part>,
    /// How many jobs of each kind run beside our prune
    #[arg(long, value_name = "N", default_value = "1000")]
    jobs: usize,
    /// How many jobs of each kind run beside any other pruner
    #[arg(long, value_name = "N", default_value = "100")]
    control_jobs: usize,
    /// How many prunes are killed in their middle on each engine, in ten times as many tries at most
    #[arg(long, value_name = "N", default_value = "100")]
    kills: usize,
    /// Put the results of a choice into docs, in the place of what was there
    #[arg(long)]
    update: bool,
    /// Put the results of a choice into docs, counted together with what was there
    #[arg(long, conflicts_with = "update")]
    add: bool,
    /// Run nothing: make docs/lab-prune.md anew from docs/lab/prune.json and docs/bench/prune.json
    #[arg(long)]
    report: bool,
}

/// A part of the laboratory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Jobs beside pruners
    Load,
    /// Prunes that are killed
    Kills,
    /// How long it takes to choose among many images, and to delete some
    Speed,
}

impl Selection {
    fn is_all(&self) -> bool {
        let Self { engines, pruners, parts, jobs, control_jobs, kills, .. } = self;
        engines.is_empty()
            && pruners.is_empty()
            && parts.is_empty()
            && (*jobs, *control_jobs, *kills) == (1000, 100, 100)
    }

    /// Whether results go into docs beside others.
    fn is_part_of_docs(&self) -> bool {
        self.update || self.add
    }

    fn earlier(&self) -> Earlier {
        if self.add { Earlier::Counts } else { Earlier::Goes }
    }

    fn has(&self, part: Part) -> bool {
        self.parts.is_empty() || self.parts.contains(&part)
    }
}

/// Where results go.
struct Places {
    raw: PathBuf,
    speed: PathBuf,
    page: PathBuf,
}

/// Runs what is selected and tells whether all was as promised.
///
/// # Errors
/// When an engine cannot be started, or something fails that no prune can be blamed for.
pub fn run(selection: &Selection) -> Result<bool> {
    let docs = workspace::root().join("docs");
    let whole = Places {
        raw: docs.join("lab/prune.json"),
        speed: docs.join("bench/prune.json"),
        page: docs.join("lab-prune.md"),
    };
    if selection.report {
        report::write(&results::load(&whole.raw)?, &report::speed(&whole.speed)?, &whole.page)?;
        return Ok(true);
    }
    let places = if selection.is_all() || selection.is_part_of_docs() {
        whole
    } else {
        let dir = workspace::target()?.join("lab");
        Places {
            raw: dir.join("prune.json"),
            speed: dir.join("prune-speed.json"),
            page: dir.join("lab-prune.md"),
        }
    };
    let begin = Instant::now();
    let mut raw = if selection.is_part_of_docs() { results::load(&places.raw)? } else { Raw::default() };
    raw.machine = machine::description()?;
    let before = Duration::from_secs(raw.seconds);
    let kinds = if selection.engines.is_empty() { Kind::ALL.to_vec() } else { selection.engines.clone() };
    if selection.has(Part::Load) || selection.has(Part::Kills) {
        for &kind in &kinds {
            engine(kind, selection, &mut raw, &places, (begin, before))?;
        }
    }
    let mut speed =
        if selection.is_part_of_docs() { report::speed(&places.speed)? } else { speed::Speed::default() };
    if selection.has(Part::Speed) {
        speed::run(&kinds, &mut speed, |speed| results::save(speed, &places.speed))?;
    }
    report::write(&raw, &speed, &places.page)?;
    eprintln!(
        "wrote {} and {} after {} s",
        places.raw.display(),
        places.page.display(),
        begin.elapsed().as_secs()
    );
    let complaints = report::complaints(&raw, &speed);
    complaints.iter().for_each(|line| eprintln!("not as promised: {line}"));
    Ok(complaints.is_empty())
}

/// Each pruner has an engine of its own, so that none finds what another left. The registry is all engines' of one kind.
fn engine(
    kind: Kind,
    selection: &Selection,
    raw: &mut Raw,
    places: &Places,
    (begin, before): (Instant, Duration),
) -> Result<()> {
    let command = artifacts::release_command()?;
    let registry = Registry::start()?;
    let mut is_filled = false;
    let mut on_engine = |work: &mut dyn FnMut(&Site, &mut Raw) -> Result<()>, raw: &mut Raw| -> Result<()> {
        let state = tempfile::tempdir().context("cannot create a directory")?;
        let engine = engines::start(kind, Options::default())?;
        raw.engines.insert(kind.name().to_owned(), engine.version().to_owned());
        images::busybox(engine.client())?;
        let site = Site {
            client: engine.client(),
            command: &command,
            state: state.path(),
            registry: registry.address(),
        };
        if !std::mem::replace(&mut is_filled, true) && selection.has(Part::Load) {
            load::fill(&site)?;
        }
        work(&site, raw)?;
        engine.stop()?;
        raw.seconds = (before + begin.elapsed()).as_secs();
        // What there is so far, should the next engine cost us the rest.
        results::save(raw, &places.raw)
    };
    let is_chosen =
        |name: &str| selection.pruners.is_empty() || selection.pruners.iter().any(|chosen| chosen == name);
    for (index, pruner) in PRUNERS.iter().enumerate().filter(|(_, pruner)| is_chosen(pruner.name)) {
        if !selection.has(Part::Load) {
            break;
        }
        let jobs = if index == 0 { selection.jobs } else { selection.control_jobs };
        let mut work = |site: &Site, raw: &mut Raw| {
            let load = load::run(site, kind.name(), pruner, jobs)?;
            eprintln!("{}", report::line(&load));
            raw.put_load(load, selection.earlier());
            Ok(())
        };
        on_engine(&mut work, raw)?;
    }
    if selection.has(Part::Kills) {
        let mut work = |site: &Site, raw: &mut Raw| {
            let kills = kill::run(site, kind.name(), selection.kills)?;
            eprintln!("{kills:?}");
            raw.put_kills(kills, selection.earlier());
            Ok(())
        };
        on_engine(&mut work, raw)?;
    }
    Ok(())
}
