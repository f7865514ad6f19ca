//! The recovery laboratory: `ci-build run` and `ci-build recover` are killed at each labelled place and at any moment,
//! and calls to the engine fail one by one; and after one recovery nothing of
//! ours is left, while what others have stands untouched.

pub mod containerd;
mod ground;
mod raw;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::Parser;
use xtask::engines::{self, Kind, Options};
use xtask::{artifacts, images, machine, workspace};

use crate::results;

pub use ground::{Ground, SCENARIOS, Scenario};
pub use raw::{Raw, Row};

/// Kills `ci-build run` and `ci-build recover` everywhere, and looks at what is left after one recovery
#[derive(Debug, Parser)]
pub struct Selection {
    /// On which engines
    #[arg(long = "engine", value_name = "KIND", default_values = ["docker-20.10", "docker-28.5"])]
    engines: Vec<Kind>,
    /// How often at each place
    #[arg(long, default_value_t = 20)]
    times: u32,
    /// Only places with this in their name
    #[arg(long)]
    place: Option<String>,
    /// Where the results go
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Only on docker's engines, or only on containerd [default: on both]
    #[arg(long, value_enum)]
    only: Option<Only>,
    /// On containerd, only these
    #[arg(long = "part", value_enum, default_values = ["kills", "wedge", "speed"])]
    parts: Vec<containerd::Part>,
    /// Where the results of containerd go
    #[arg(long, value_name = "FILE")]
    containerd_output: Option<PathBuf>,
}

/// Where it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Only {
    Docker,
    Containerd,
}

/// Runs the laboratory; whether all was as promised.
///
/// # Errors
/// When an engine or the command does not play along, or a place is not reached.
pub fn run(selection: &Selection) -> Result<bool> {
    let Selection { only, parts, times, place, containerd_output, .. } = selection;
    let is_docker = *only == Some(Only::Containerd) || on_docker(selection)?;
    let is_containerd = *only == Some(Only::Docker)
        || containerd::run(parts, *times, place.as_deref(), containerd_output.as_deref())?;
    Ok(is_docker && is_containerd)
}

fn on_docker(selection: &Selection) -> Result<bool> {
    let program = artifacts::command()?;
    let mut rows = Vec::new();
    let mut versions = BTreeMap::new();
    for kind in &selection.engines {
        let engine = engines::start(*kind, Options::default())?;
        images::busybox(engine.client())?;
        versions.insert(kind.name().to_owned(), engine.version().to_owned());
        let is_asked =
            |place: &str| selection.place.as_ref().is_none_or(|part| place.contains(part.as_str()));
        for scenario in SCENARIOS {
            for place in scenario.places().into_iter().filter(|place| is_asked(place)) {
                let row = repeat(kind.name(), engine.client(), &program, scenario, &place, selection.times)?;
                eprintln!(
                    "{} {} {place}: {} of {} left something",
                    row.engine,
                    row.scenario,
                    row.left.len(),
                    row.times
                );
                rows.push(row);
            }
        }
        engine.stop()?;
    }
    let raw = Raw { machine: machine::description()?, engines: versions, rows };
    let path = selection.output.clone().unwrap_or_else(|| workspace::root().join("docs/lab/recovery.json"));
    results::save(&raw, &path)?;
    Ok(raw.rows.iter().all(|row| row.left.is_empty()))
}

/// Goes through one scenario, killed at one place, so many times.
///
/// # Errors
/// When the engine or the command does not play along, or the place is not reached.
pub fn repeat(
    engine: &str,
    client: &xtask::client::Client,
    program: &std::path::Path,
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
