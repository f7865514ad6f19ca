//! The recovery laboratory: commands are killed at each labelled place and at any moment; shims and engines are killed beneath
//! them; requests to the engine fail one by one; and after one recovery nothing of ours is left, while what others have
//! stands untouched. How long a recovery of many leftovers takes, and a run beside docker's or `ctr`'s; and what hundreds of
//! cancelled runs leave.
//!
//! What is here is docker's, [`containerd`] has the same for a containerd without docker, and both write to one [`Raw`].

pub mod calls;
pub mod containerd;
pub mod deaths;
mod ground;
mod killing;
pub mod many;
mod missing;
mod moments;
mod on;
mod raw;
pub mod report;
mod results;
mod scenario;
pub mod speed;
mod work;

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};
use xtask::client::Client;
use xtask::engines::{self, Kind, Options};
use xtask::{artifacts, images, machine};

use results::Results;

pub use ground::Ground;
pub use on::On;
pub use raw::{Left, Many, Raw, Row, Speed, Wedge};
pub use scenario::{SCENARIOS, Scenario};

/// Lets commands, shims, engines and requests end badly, and looks at what is left after one recovery
///
/// Results are kept after each part, beside those of earlier runs: parts can be run at different times, and at the same
/// time.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask recovery", bin_name = "cargo xtask recovery")]
pub struct Selection {
    /// On which engines
    #[arg(long = "engine", value_name = "KIND")]
    #[arg(default_values = ["docker-20.10", "docker-28.5", "containerd-1.6", "containerd-2.1"])]
    engines: Vec<On>,
    /// Only this part [repeatable]
    #[arg(long = "part", value_name = "PART")]
    parts: Vec<Part>,
    /// How often at each place
    #[arg(long, value_name = "N", default_value_t = 20)]
    runs: u32,
    /// How many engines of a kind share the trials of the parts `kills`, `shims`, `engines` and `calls`
    #[arg(long, value_name = "N", default_value_t = 1)]
    jobs: usize,
    /// How many leftovers at once
    #[arg(long, value_name = "N", default_value_t = 1000)]
    leftovers: u32,
    /// How many runs are cancelled, of the part `wedge`
    #[arg(long, value_name = "N", default_value_t = 300)]
    cancelled: u32,
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
    /// How long a run takes beside docker's or ctr's
    Speed,
    /// Hundreds of runs are cancelled, on containerd
    Wedge,
}

/// Runs the laboratory; whether all was as promised.
///
/// # Errors
/// When an engine or the command does not play along.
pub fn run(selection: &Selection) -> Result<bool> {
    let results = Results::of(selection);
    if selection.report {
        results.change(|_| ())?;
        return Ok(true);
    }
    let description = machine::description()?;
    results.change(|raw| raw.machine = description)?;
    let parts = match &selection.parts[..] {
        [] => Part::value_variants(),
        parts => parts,
    };
    for part in parts {
        for on in &selection.engines {
            let done = match on {
                On::Docker(kind) => on_docker(*part, *kind, selection, &results),
                On::Containerd(kind) => containerd::one(*part, *kind, selection, &results),
            };
            done.with_context(|| format!("{part:?} on {}", on.name()))?;
        }
    }
    let complaints = results.change(|raw| report::complaints(raw))?;
    complaints.iter().for_each(|line| eprintln!("not as promised: {line}"));
    Ok(complaints.is_empty())
}

/// What a part runs: times are those of what users get, and only other builds can be killed at a place.
fn program(part: Part) -> Result<PathBuf> {
    match part {
        Part::Many | Part::Speed => artifacts::release_command(),
        _ => artifacts::command(),
    }
}

/// One part on one engine, or on several of its kind, which it has for itself.
fn on_docker(part: Part, kind: Kind, selection: &Selection, results: &Results) -> Result<()> {
    if part == Part::Wedge {
        return Ok(());
    }
    let (name, jobs, runs, program) = (kind.name(), selection.jobs, selection.runs, program(part)?);
    let field = || Field::new(kind, &program, results);
    match part {
        Part::Kills => {
            let all = SCENARIOS.iter().flat_map(|scenario| {
                let places = scenario.places().filter(|place| selection.asks_for(place));
                places.map(move |place| (scenario, place))
            });
            work::shared(jobs, &all.collect::<Vec<_>>(), field, |field, (scenario, place)| {
                results.put(repeat(name, field.engine.client(), &program, scenario, place, runs)?)
            })?;
        }
        Part::Shims => work::shared(jobs, deaths::SHIMS, field, |field, way| {
            results.put(deaths::shims(name, &field.ground()?, way, runs)?)
        })?,
        Part::Engines => work::shared(
            jobs,
            deaths::ENGINES,
            || Ok(()),
            |(), way| {
                let (version, row) = deaths::engines(kind, &program, way, runs)?;
                results.version(On::Docker(kind), &version)?;
                results.put(row)
            },
        )?,
        Part::Calls => {
            let faults = calls::faults();
            let all = calls::CALLS.iter().flat_map(|call| faults.iter().map(move |fault| (*call, fault)));
            work::shared(jobs, &all.collect::<Vec<_>>(), field, |field, (call, fault)| {
                let socket = field.engine.socket();
                results.put(calls::repeat(name, &socket, &field.ground()?, *call, fault)?)
            })?;
        }
        Part::Many => {
            let many = many::run(name, &field()?.ground()?, &program, selection.leftovers)?;
            results.change(|raw| raw.put_many(many))?;
        }
        Part::Speed => {
            let speed = speed::run(name, field()?.engine.client(), &program, runs)?;
            results.change(|raw| raw.put_speed(speed))?;
        }
        Part::Wedge => {}
    }
    Ok(())
}

/// An engine with a base image, on which trials are made.
struct Field {
    engine: engines::Engine,
    program: PathBuf,
}

impl Field {
    fn new(kind: Kind, program: &Path, results: &Results) -> Result<Self> {
        let engine = engines::start(kind, Options::default())?;
        results.version(On::Docker(kind), engine.version())?;
        images::busybox(engine.client())?;
        Ok(Self { engine, program: program.to_owned() })
    }

    fn ground(&self) -> Result<Ground> {
        Ground::new(self.engine.client().clone(), self.program.clone())
    }
}

impl Selection {
    /// Whether commands are to be killed at this place.
    fn asks_for(&self, place: &str) -> bool {
        self.place.as_ref().is_none_or(|part| place.contains(part.as_str()))
    }
}

/// Goes through one scenario, killed at one place, so many times.
///
/// # Errors
/// When the engine or the command does not play along.
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
    let seconds = started.elapsed().as_secs_f32();
    let (engine, place) = (engine.to_owned(), place.to_owned());
    Ok(Row { engine, scenario: scenario.name.to_owned(), place, times, killed: reached, left, seconds })
}
