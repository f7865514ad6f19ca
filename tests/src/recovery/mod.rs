//! The recovery laboratory: commands are killed at each labelled place and at any moment; shims and the engine are killed beneath
//! them; requests to the engine fail one by one; and after one recovery nothing of ours is left, while what others have
//! stands untouched. How long a recovery of many leftovers takes, and a run beside docker's.

pub mod calls;
pub mod containerd;
pub mod deaths;
mod ground;
pub mod many;
mod raw;
pub mod report;
mod scenario;
pub mod speed;

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::{Parser, ValueEnum};
use xtask::client::Client;
use xtask::engines::{self, Engine, Kind, Options};
use xtask::{artifacts, images, machine, workspace};

use crate::results;

pub use ground::Ground;
pub use raw::{Many, Raw, Row, Speed};
pub use scenario::{SCENARIOS, Scenario};

/// Lets commands, shims, engines and requests end badly, and looks at what is left after one recovery
///
/// Results are kept after each part, beside those of earlier runs: parts can be run at different times.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask recovery", bin_name = "cargo xtask recovery")]
pub struct Selection {
    /// On which engines
    #[arg(long = "engine", value_name = "KIND", default_values = ["docker-20.10", "docker-28.5"])]
    engines: Vec<Kind>,
    /// Only this part [repeatable]
    #[arg(long = "part", value_name = "PART")]
    parts: Vec<Part>,
    /// How often at each place
    #[arg(long, value_name = "N", default_value_t = 20)]
    runs: u32,
    /// How many leftovers at once
    #[arg(long, value_name = "N", default_value_t = 1000)]
    leftovers: u32,
    /// Of the part `kills`, only places with this in their name
    #[arg(long)]
    place: Option<String>,
    /// Where the results go [default: docs/lab/recovery.json, and the page docs/lab-recovery.md]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Run nothing: make the page anew
    #[arg(long)]
    report: bool,
}

/// A part of the laboratory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Runs, builds and recoveries are killed
    Kills,
    /// Shims are killed
    Shims,
    /// The engine is killed
    Engines,
    /// Each request to the engine fails once
    Calls,
    /// Many leftovers at once
    Many,
    /// How long a run takes beside docker's
    Speed,
}

/// Where results go.
struct Places {
    raw: PathBuf,
    page: PathBuf,
}

impl Selection {
    fn places(&self) -> Places {
        let docs = workspace::root().join("docs");
        match &self.output {
            Some(raw) => Places { raw: raw.clone(), page: raw.with_extension("md") },
            None => Places { raw: docs.join("lab/recovery.json"), page: docs.join("lab-recovery.md") },
        }
    }
}

impl Places {
    /// What there is so far.
    fn load(&self) -> Result<Raw> {
        if self.raw.exists() { results::load(&self.raw) } else { Ok(Raw::default()) }
    }

    /// Keeps what there is by now.
    fn save(&self, raw: &Raw) -> Result<()> {
        results::save(raw, &self.raw)?;
        let written = std::fs::write(&self.page, report::page(raw));
        written.with_context(|| format!("cannot write {}", self.page.display()))
    }
}

/// Runs the laboratory; whether all was as promised.
///
/// # Errors
/// When an engine or the command does not play along, or a place is not reached.
pub fn run(selection: &Selection) -> Result<bool> {
    let places = selection.places();
    let mut raw = places.load()?;
    if selection.report {
        places.save(&raw)?;
        return Ok(true);
    }
    raw.machine = machine::description()?;
    let parts = match &selection.parts[..] {
        [] => Part::value_variants(),
        parts => parts,
    };
    for part in parts {
        for kind in &selection.engines {
            one(*part, *kind, selection, &mut raw, &places)
                .with_context(|| format!("{part:?} on {}", kind.name()))?;
            places.save(&raw)?;
        }
    }
    let complaints = report::complaints(&raw);
    complaints.iter().for_each(|line| eprintln!("not as promised: {line}"));
    Ok(complaints.is_empty())
}

/// One part on one engine, which it has for itself.
fn one(part: Part, kind: Kind, selection: &Selection, raw: &mut Raw, places: &Places) -> Result<()> {
    let program = match part {
        Part::Many | Part::Speed => artifacts::release_command()?,
        _ => artifacts::command()?,
    };
    let name = kind.name();
    let start = || -> Result<Engine> {
        let engine = engines::start(kind, Options::default())?;
        images::busybox(engine.client())?;
        Ok(engine)
    };
    let put = |raw: &mut Raw, row: Row| {
        eprintln!(
            "{} {} {}: {} of {} left something",
            row.engine,
            row.scenario,
            row.place,
            row.left.len(),
            row.times
        );
        raw.put(row);
        places.save(raw)
    };
    if part == Part::Engines {
        let (version, rows) = deaths::engines(kind, &program, selection.runs)?;
        raw.engines.insert(name.to_owned(), version);
        return rows.into_iter().try_for_each(|row| put(raw, row));
    }
    let engine = start()?;
    raw.engines.insert(name.to_owned(), engine.version().to_owned());
    let ground = |program: &Path| Ground::new(engine.client().clone(), program.to_owned());
    match part {
        Part::Kills => {
            let is_asked =
                |place: &str| selection.place.as_ref().is_none_or(|part| place.contains(part.as_str()));
            for scenario in SCENARIOS {
                for place in scenario.places().into_iter().filter(|place| is_asked(place)) {
                    put(raw, repeat(name, engine.client(), &program, scenario, &place, selection.runs)?)?;
                }
            }
        }
        Part::Shims => {
            for row in deaths::shims(name, &ground(&program)?, selection.runs)? {
                put(raw, row)?;
            }
        }
        Part::Calls => {
            let ground = ground(&program)?;
            for call in calls::CALLS {
                for fault in &calls::faults() {
                    put(raw, calls::repeat(name, &engine.socket(), &ground, *call, fault)?)?;
                }
            }
        }
        Part::Many => raw.put_many(many::run(name, &ground(&program)?, &program, selection.leftovers)?),
        Part::Speed => raw.put_speed(speed::run(name, engine.client(), &program, selection.runs)?),
        Part::Engines => {}
    }
    engine.stop()
}

/// Goes through one scenario, killed at one place, so many times.
///
/// # Errors
/// When the engine or the command does not play along, or the place is not reached.
pub fn repeat(
    engine: &str,
    client: &Client,
    program: &Path,
    scenario: &Scenario,
    place: &str,
    times: u32,
) -> Result<Row> {
    let ground = Ground::new(client.clone(), program.to_owned())?;
    let (mut left, mut reached, started) = (Vec::new(), 0, Instant::now());
    for time in 0..times {
        if scenario.play(&ground, place, time).with_context(|| format!("{} at {place}", scenario.name))? {
            reached += 1;
        }
        left.extend(ground.leftovers().with_context(|| format!("after {} at {place}", scenario.name))?);
    }
    if reached == 0 {
        bail!("{} is never killed at {place}: the trial is none", scenario.name);
    }
    let seconds = started.elapsed().as_secs_f32();
    let (engine, place) = (engine.to_owned(), place.to_owned());
    Ok(Row { engine, scenario: scenario.name.to_owned(), place, times, killed: reached, left, seconds })
}
