//! How long it takes to copy an image from one registry to another, half of which is there: beside skopeo and crane, which
//! do the same between the same registries, in turn.

mod count;
mod image;
mod tool;

use anyhow::{Context, Result};
use serde::Serialize;
use xtask::registry::Registry;
use xtask::{machine, workspace};

use self::count::Counter;
use self::image::Layers;
use self::tool::{Tool, Usage};
use crate::results;

/// What is measured.
#[derive(Debug, clap::Parser)]
#[command(name = "cargo xtask copies", bin_name = "cargo xtask copies")]
pub struct Selection {
    /// How often each copies
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// The size of the image in MiB
    #[arg(long, default_value_t = 2048)]
    mib: u64,
    /// Where to write the results [default: docs/bench/copies.json]
    #[arg(long, value_name = "FILE")]
    output: Option<std::path::PathBuf>,
}

/// The layers of the image.
const LAYERS: u64 = 12;

/// Our goal, in bytes.
const MOST_MEMORY: u64 = 64 << 20;

#[derive(Debug, Serialize)]
struct Results {
    what: String,
    machine: serde_json::Value,
    bytes: u64,
    bytes_missing: u64,
    tools: Vec<Measured>,
}

/// What one tool needs.
#[derive(Debug, Serialize)]
struct Measured {
    name: String,
    version: String,
    runs: Vec<Usage>,
    /// Through counting relays, which take time of their own.
    received_of_source: u64,
    sent_to_source: u64,
    sent_to_destination: u64,
    received_of_destination: u64,
}

/// Measures, writes the results, and tells whether the goals are reached.
///
/// # Errors
/// When something cannot be fetched, started or copied.
pub fn run(selection: &Selection) -> Result<bool> {
    let layers = Layers::new(LAYERS, selection.mib * (1 << 20) / LAYERS)?;
    let source = Registry::start()?;
    let manifest = layers.push(source.address(), 0..LAYERS, true)?;
    let tools = Tool::all()?;
    let mut measured = Vec::new();
    for tool in &tools {
        // Half is there already, so only that much is to be copied.
        let destination = half(&layers)?;
        let (from, to) = (Counter::start(source.address())?, Counter::start(destination.address())?);
        tool.copy(from.address(), to.address())?;
        image::check(destination.address(), &manifest).context(tool.name)?;
        let ((sent_to_source, received_of_source), (sent_to_destination, received_of_destination)) =
            (from.counted(), to.counted());
        measured.push(Measured {
            name: tool.name.into(),
            version: tool.version.clone(),
            runs: Vec::new(),
            received_of_source,
            sent_to_source,
            sent_to_destination,
            received_of_destination,
        });
    }
    for run in 0..selection.runs {
        // In turn, and each time another one first, so that what else the machine does falls on all alike.
        for place in 0..tools.len() {
            let which = (run + place) % tools.len();
            let destination = half(&layers)?;
            let usage = tools[which].copy(source.address(), destination.address())?;
            image::check(destination.address(), &manifest).context(tools[which].name)?;
            eprintln!("{}: {usage}", tools[which].name);
            measured[which].runs.push(usage);
        }
    }
    let results = Results {
        what: format!("copy of an image of {LAYERS} layers of random bytes, half of them there"),
        machine: machine::description()?,
        bytes: layers.bytes(0..LAYERS),
        bytes_missing: layers.bytes(LAYERS / 2..LAYERS),
        tools: measured,
    };
    let usual = || workspace::root().join("docs/bench/copies.json");
    results::save(&results, &selection.output.clone().unwrap_or_else(usual))?;
    judge(&results)
}

fn half(layers: &Layers) -> Result<Registry> {
    let destination = Registry::start()?;
    layers.push(destination.address(), 0..LAYERS / 2, false)?;
    Ok(destination)
}

/// The least bytes, at most the others' time, and little memory.
fn judge(results: &Results) -> Result<bool> {
    let total = |measured: &Measured| {
        measured.received_of_source
            + measured.sent_to_source
            + measured.sent_to_destination
            + measured.received_of_destination
    };
    for measured in &results.tools {
        eprintln!(
            "{:<9} {:>7.2} s wall, {:>6.2} s cpu, {:>4} MiB, {:>11} bytes",
            measured.name,
            median(measured, |usage| usage.wall),
            median(measured, |usage| usage.cpu),
            peak(measured) >> 20,
            total(measured)
        );
    }
    let (ours, others) = results.tools.split_first().context("there is no tool")?;
    let mut is_reached = true;
    let mut say = |reached: bool, goal: &str| {
        is_reached &= reached;
        eprintln!("{}: {goal}", if reached { "reached" } else { "missed" });
    };
    say(others.iter().all(|other| total(ours) <= total(other)), "the least bytes on the wire");
    let wall = |measured: &Measured| median(measured, |usage| usage.wall);
    say(others.iter().all(|other| wall(ours) <= wall(other)), "at most the others' time (medians)");
    say(peak(ours) < MOST_MEMORY, "below 64 MiB of memory");
    Ok(is_reached)
}

fn peak(measured: &Measured) -> u64 {
    measured.runs.iter().map(|usage| usage.memory).max().unwrap_or_default()
}

fn median(measured: &Measured, of: impl Fn(&Usage) -> f64) -> f64 {
    let mut all: Vec<f64> = measured.runs.iter().map(of).collect();
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied().unwrap_or_default()
}
