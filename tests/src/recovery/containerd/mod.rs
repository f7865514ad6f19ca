//! The recovery laboratory on containerd without docker: the same as on docker; 300 cancelled runs beside those of a bare
//! `ctr run --rm`; and how long a run takes beside it.

mod ground;
mod speed;
mod wedge;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use xtask::containerd::Kind;
use xtask::{command, machine, workspace};

use super::Row;
use crate::results;

pub use ground::{Ground, SCENARIOS, Scenario};
pub use speed::Speed;
pub use wedge::Wedge;

/// All results of one run of it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Raw {
    /// Where and when.
    pub machine: Value,
    /// The engines' names and versions.
    pub engines: BTreeMap<String, String>,
    /// A row a place.
    pub rows: Vec<Row>,
    /// What cancelled runs leave, by the engine.
    pub wedge: BTreeMap<String, Wedge>,
    /// How long runs take, by the engine.
    pub speed: BTreeMap<String, Speed>,
}

impl Raw {
    fn is_as_promised(&self) -> bool {
        self.rows.iter().all(|row| row.left.is_empty())
            && self.wedge.values().all(Wedge::is_as_promised)
            && self.speed.values().all(Speed::is_as_promised)
    }
}

/// Which part of it is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Part {
    /// Kills at each place.
    Kills,
    /// Cancelled runs.
    Wedge,
    /// How long runs take.
    Speed,
}

/// Runs these parts; whether all was as promised. What is not run, stays as it was in the file.
///
/// # Errors
/// When an engine or the command does not play along, or a place is not reached.
pub fn run(parts: &[Part], times: u32, asked: Option<&str>, output: Option<&Path>) -> Result<bool> {
    let default = workspace::root().join("docs/lab/recovery-containerd.json");
    let path = output.unwrap_or(&default);
    let mut raw: Raw = if path.exists() { results::load(path)? } else { Raw::new()? };
    raw.machine = machine::description()?;
    for kind in Kind::ALL {
        let name = kind.name().to_owned();
        if parts.contains(&Part::Kills) {
            raw.rows.retain(|row| row.engine != name);
            raw.rows.extend(kills(kind, times, asked)?);
        }
        if parts.contains(&Part::Wedge) {
            raw.wedge.insert(name.clone(), wedge::run(kind)?);
        }
        if parts.contains(&Part::Speed) {
            raw.speed.insert(name.clone(), speed::run(kind)?);
        }
        raw.engines.insert(name, version(kind)?);
        results::save(&raw, path)?;
    }
    Ok(raw.is_as_promised())
}

impl Raw {
    fn new() -> Result<Self> {
        let (rows, wedge, speed) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
        Ok(Self { machine: machine::description()?, engines: BTreeMap::new(), rows, wedge, speed })
    }
}

fn version(kind: Kind) -> Result<String> {
    let place = tempfile::tempdir().context("cannot create a directory")?;
    let engine = xtask::containerd::Containerd::start(kind, place.path())?;
    let told = command::output(engine.ctr().arg("version"))?;
    let versions = told.lines().filter_map(|line| line.trim().strip_prefix("Version:"));
    Ok(versions.last().unwrap_or("unknown").trim().to_owned())
}

fn kills(kind: Kind, times: u32, asked: Option<&str>) -> Result<Vec<Row>> {
    let ground = Ground::new(kind)?;
    let mut rows = Vec::new();
    for scenario in SCENARIOS {
        for place in scenario.places.iter().filter(|place| asked.is_none_or(|part| place.contains(part))) {
            let row = repeat(&ground, kind.name(), scenario, place, times)?;
            let (engine, scenario, left) = (&row.engine, &row.scenario, row.left.len());
            eprintln!("{engine} {scenario} {place}: {left} of {times} left something");
            rows.push(row);
        }
    }
    Ok(rows)
}

/// Goes through one scenario, killed at one place, so many times.
///
/// # Errors
/// When the engine or the command does not play along, or the place is not reached.
pub fn repeat(ground: &Ground, engine: &str, scenario: &Scenario, place: &str, times: u32) -> Result<Row> {
    let (mut left, mut reached, started) = (Vec::new(), 0, Instant::now());
    for time in 0..times {
        let played = scenario.play(ground, place, time);
        reached += u32::from(played.with_context(|| format!("{} at {place}", scenario.name))?);
        left.extend(ground.leftovers().with_context(|| format!("after {} at {place}", scenario.name))?);
    }
    if reached == 0 {
        bail!("{} is never killed at {place}: the trial is none", scenario.name);
    }
    let seconds = started.elapsed().as_secs_f32();
    let (engine, place) = (engine.to_owned(), place.to_owned());
    Ok(Row { engine, scenario: scenario.name.to_owned(), place, times, killed: reached, left, seconds })
}
