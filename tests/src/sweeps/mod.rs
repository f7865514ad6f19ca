//! The sweep laboratory: swaps of directories under a sweep, a million entries against a naive model, sweeps that are killed, real tools
//! beside sweeps of their caches, and how fast it is beside `find` and `systemd-tmpfiles`.

pub mod attack;
pub mod caches;
pub mod kill;
pub mod model;
#[path = "../../../cli/tests/it/sweep/naive.rs"]
mod naive;
pub mod raw;
pub mod report;
pub mod speed;
#[path = "../../../cli/tests/it/sweep/swaps.rs"]
mod swaps;
pub mod tree;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};
use serde_json::Value;
use xtask::{artifacts, workspace};

use self::raw::Raw;
use crate::results::{self, Kept};

/// How many swaps on each file system, entries for the model, kills, runs of each tool, measurements of each, and files a run for the
/// documentation has.
const SWAPS: u64 = 1_000_000;
const ENTRIES: u64 = 1_000_000;
const KILLS: u64 = 100;
const TOOLS: u64 = 40;
const RUNS: usize = 5;
const FILES: [u64; 2] = [200_000, 1_000_000];

/// Sweeps under attack, holds sweeps against a model, kills them, sweeps the caches of tools while they run, and measures
///
/// Without a choice, everything is run and docs/lab/sweep.json and docs/lab-sweep.md are written, which takes an hour. With one, the results go
/// to target/lab, unless they are to update docs.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask sweep", bin_name = "cargo xtask sweep")]
pub struct Selection {
    /// Only this part [repeatable]
    #[arg(long = "part", value_name = "PART")]
    parts: Vec<Part>,
    /// How many swaps there are on each file system
    #[arg(long, value_name = "N", default_value_t = SWAPS)]
    swaps: u64,
    /// How many entries the tree has that is held against the model
    #[arg(long, value_name = "N", default_value_t = ENTRIES)]
    entries: u64,
    /// How many sweeps are killed
    #[arg(long, value_name = "N", default_value_t = KILLS)]
    kills: u64,
    /// How often each tool is run
    #[arg(long, value_name = "N", default_value_t = TOOLS)]
    tools: u64,
    /// With how many files it is measured [repeatable; default: 200000 and 1000000]
    #[arg(long, value_name = "N")]
    files: Vec<u64>,
    /// Only this is measured [repeatable]
    #[arg(long = "measure", value_name = "WHAT")]
    only_measure: Vec<speed::What>,
    /// How often each is measured
    #[arg(long, value_name = "N", default_value_t = RUNS)]
    runs: usize,
    /// Only this tool [repeatable]
    #[arg(long = "tool", value_name = "TOOL")]
    only_tools: Vec<String>,
    /// Put the results of a choice into docs, in the place of what was there
    #[arg(long)]
    update: bool,
    /// Run nothing: make docs/lab-sweep.md anew from docs/lab/sweep.json
    #[arg(long)]
    report: bool,
}

/// A part of the laboratory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Swaps of directories and links, on the disk and in memory
    Attack,
    /// A tree of every kind of entry, held against a naive model
    Model,
    /// Sweeps that are killed
    Kills,
    /// Tools beside sweeps of their caches
    Caches,
    /// How fast it is
    Speed,
}

impl Selection {
    fn is_all(&self) -> bool {
        let Self { parts, swaps, entries, kills, tools, files, runs, only_tools, only_measure, .. } = self;
        let is_all = parts.is_empty() && files.is_empty() && only_tools.is_empty() && only_measure.is_empty();
        is_all && (*swaps, *entries, *kills, *tools, *runs) == (SWAPS, ENTRIES, KILLS, TOOLS, RUNS)
    }

    fn has(&self, part: Part) -> bool {
        self.parts.is_empty() || self.parts.contains(&part)
    }
}

/// The command that is looked at, and where it keeps its state.
pub struct Subject<'a> {
    program: &'a Path,
    state: PathBuf,
}

impl Subject<'_> {
    /// A sweep with these flags.
    #[must_use]
    pub fn command(&self, flags: &str) -> Command {
        let mut command = Command::new(self.program);
        command.arg("sweep").args(flags.split_ascii_whitespace());
        command.env("CI_BUILD_STATE_DIR", &self.state).env("CI_BUILD_CONFIG", "");
        command
    }

    /// What a sweep of a directory says, and whether it ended well.
    ///
    /// # Errors
    /// When it does not start, or says nothing that can be read.
    pub fn sweep(&self, flags: &str, directory: &Path) -> Result<(Value, bool)> {
        let mut command = self.command(&format!("--format json {flags}"));
        let output = command.arg(directory).stderr(Stdio::null()).output().context("cannot sweep")?;
        let mut told: Value = serde_json::from_slice(&output.stdout).context("there is no report")?;
        Ok((told["directories"][0].take(), output.status.success()))
    }
}

/// Runs what is selected and tells whether all was as promised.
///
/// # Errors
/// When something fails that no sweep can be blamed for.
pub fn run(selection: &Selection) -> Result<bool> {
    let docs = workspace::root().join("docs");
    let (whole, page) = (docs.join("lab/sweep.json"), docs.join("lab-sweep.md"));
    if selection.report {
        report::write(&results::load(&whole)?, &page)?;
        return Ok(true);
    }
    let (to, page) = places(selection, whole, page)?;
    let raw = if selection.update && to.exists() { results::load(&to)? } else { Raw::default() };
    let mut kept = Kept::new(raw, to)?;
    if selection.has(Part::Attack) {
        attack::run(selection.swaps, |attack| kept.add(Raw { attacks: vec![attack], ..Raw::default() }))?;
    }
    // An attack is on the library.
    let program =
        if selection.parts == [Part::Attack] { PathBuf::new() } else { artifacts::release_command()? };
    if selection.has(Part::Model) {
        kept.add(Raw { models: vec![model::run(&program, selection.entries)?], ..Raw::default() })?;
    }
    if selection.has(Part::Kills) {
        kept.add(Raw { kills: vec![kill::run(&program, selection.kills)?], ..Raw::default() })?;
    }
    if selection.has(Part::Caches) {
        caches::run(&program, selection.tools, &selection.only_tools, |cache| {
            kept.add(Raw { caches: vec![cache], ..Raw::default() })
        })?;
    }
    if selection.has(Part::Speed) {
        let all = if selection.files.is_empty() { FILES.to_vec() } else { selection.files.clone() };
        let only = &selection.only_measure;
        let is_asked_for = |what| only.is_empty() || only.contains(&what);
        for files in all {
            speed::run(&program, (files, selection.runs), is_asked_for, |speed| {
                kept.add(Raw { programs: speed::programs(), speeds: vec![speed], ..Raw::default() })
            })?;
        }
    }
    let Kept { raw, path, .. } = kept;
    report::write(&raw, &page)?;
    eprintln!("wrote {} and {} after {} s", path.display(), page.display(), raw.seconds);
    let complaints = report::complaints(&raw);
    complaints.iter().for_each(|line| eprintln!("not as promised: {line}"));
    Ok(complaints.is_empty())
}

/// Where the results and the page go: only those of a whole run are for the documentation.
fn places(selection: &Selection, whole: PathBuf, page: PathBuf) -> Result<(PathBuf, PathBuf)> {
    if selection.is_all() || selection.update {
        return Ok((whole, page));
    }
    let directory = workspace::target()?.join("lab");
    Ok((directory.join("sweep.json"), directory.join("lab-sweep.md")))
}
