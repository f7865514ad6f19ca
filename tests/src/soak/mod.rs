//! Many builds through one engine, some of them cancelled at any moment: does it stay as it was?
//!
//! Two engines of one kind get the same builds in turns, cancelled after the same time: one by its own frontend, one by
//! ours. So what else the machine does falls on both alike, and what an engine keeps by itself is seen beside what it
//! keeps because of us.

mod report;
mod state;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tempfile::TempDir;
use xtask::build::{Build, Ended};
use xtask::client::Client;
use xtask::engines::{self, Engine, Kind, Options};
use xtask::{artifacts, images, machine, workspace};

use self::state::State;
use crate::results;

/// Builds through one engine without us and through another one with us, cancels some of them, and tells what stays
///
/// Without a choice, the results go to docs/lab/soak.json and docs/soak.md. With one, they go to target/soak.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask soak", bin_name = "cargo xtask soak")]
pub struct Arguments {
    /// The engine, as `cargo xtask engines list` names them
    #[arg(long, value_name = "ENGINE", default_value = "docker-28.5")]
    engine: Kind,
    /// How many builds go through each of both
    #[arg(long, value_name = "N", default_value_t = BUILDS)]
    builds: usize,
    /// Run nothing: make docs/soak.md anew from docs/lab/soak.json
    #[arg(long)]
    report: bool,
}

const BUILDS: usize = 500;
/// Before the first look at an engine: it loads much when it first builds.
const WARM_UP: usize = 20;
const SAMPLES: usize = 10;

/// What was seen.
#[derive(Debug, Serialize, Deserialize)]
pub struct Raw {
    /// What was built on, and when.
    pub machine: Value,
    /// The engine's name.
    pub engine: String,
    /// Its version.
    pub version: String,
    /// What happens to be random.
    pub seed: u64,
    /// By the engine's own frontend.
    pub upstream: Side,
    /// By ours.
    pub ours: Side,
}

/// What was seen of one of both engines.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Side {
    /// How many builds succeeded.
    pub well: usize,
    /// How many were cancelled.
    pub cancelled: usize,
    /// What those said that failed by themselves.
    pub failed: Vec<String>,
    /// The engine between builds, the first time before those that count.
    pub samples: Vec<Sample>,
    /// What is there at the end that was not there at the beginning.
    pub left: Vec<String>,
}

/// An engine at a moment.
#[derive(Debug, Serialize, Deserialize)]
pub struct Sample {
    /// How many builds went through it.
    pub builds: usize,
    /// Its processes' resident memory, in KiB.
    pub memory_kib: u64,
    /// How many files dockerd has open.
    pub files: usize,
    /// How many threads dockerd has.
    pub threads: usize,
}

/// Builds, and tells whether all was as promised.
///
/// # Errors
/// When an engine cannot be started, or something fails that no build can be blamed for.
pub fn run(arguments: &Arguments) -> Result<bool> {
    let is_for_docs = arguments.report || arguments.builds == BUILDS && arguments.engine == Kind::Docker28_5;
    let (json, page) = places(is_for_docs)?;
    let raw = if arguments.report { results::load(&json)? } else { soak(arguments)? };
    if !arguments.report {
        results::save(&raw, &json)?;
    }
    fs::write(&page, report::page(&raw)).with_context(|| format!("cannot write {}", page.display()))?;
    let complaints = report::complaints(&raw);
    complaints.iter().for_each(|complaint| eprintln!("not as promised: {complaint}"));
    Ok(complaints.is_empty())
}

fn places(is_for_docs: bool) -> Result<(PathBuf, PathBuf)> {
    if is_for_docs {
        let docs = workspace::root().join("docs");
        return Ok((docs.join("lab/soak.json"), docs.join("soak.md")));
    }
    let dir = workspace::target()?.join("soak");
    fs::create_dir_all(&dir).context("cannot create a directory")?;
    Ok((dir.join("soak.json"), dir.join("soak.md")))
}

fn soak(arguments: &Arguments) -> Result<Raw> {
    const SEED: u64 = 0x5eed_0005;
    let dir = context()?;
    let mut random = Random(SEED);
    let mut sides = [Stand::start(arguments.engine, false)?, Stand::start(arguments.engine, true)?];
    for number in 0..WARM_UP {
        for side in &mut sides {
            side.build(&dir, number, None)?;
        }
    }
    for side in &mut sides {
        side.side = Side::default();
        side.begin = State::settled(&side.engine, &side.client, None)?;
        side.sample(0)?;
    }
    for number in 0..arguments.builds {
        let cancel = (random.below(3) == 0).then(|| Duration::from_millis(random.below(1500)));
        for side in &mut sides {
            side.build(&dir, WARM_UP + number, cancel)?;
        }
        let built = number + 1;
        if built % (arguments.builds / SAMPLES).max(1) == 0 {
            eprintln!("{built} of {} builds", arguments.builds);
            sides.iter_mut().try_for_each(|side| side.sample(built))?;
        }
    }
    let version = sides[0].engine.version().to_owned();
    let [upstream, ours] = sides.map(Stand::finish);
    Ok(Raw {
        machine: machine::description()?,
        engine: arguments.engine.name().to_owned(),
        version,
        seed: SEED,
        upstream: upstream?,
        ours: ours?,
    })
}

/// Two steps at once that share a cache, and run anew in each build: ours mends it, and it does no harm.
fn context() -> Result<TempDir> {
    const TEXT: &str = "FROM local/busybox AS a\nARG N\nRUN --mount=type=cache,target=/cache echo $N > /cache/a && sleep 0.2\n\
                        FROM local/busybox AS b\nARG N\nRUN --mount=type=cache,target=/cache echo $N > /cache/b && sleep 0.1\n\
                        FROM a\nCOPY --from=b /bin/true /b\nCOPY Dockerfile /file\n";
    let dir = tempfile::tempdir().context("cannot create a directory")?;
    fs::write(dir.path().join("Dockerfile"), TEXT).context("cannot write a Dockerfile")?;
    Ok(dir)
}

/// One of both engines.
struct Stand {
    engine: Engine,
    client: Client,
    frontend: Option<String>,
    begin: State,
    side: Side,
}

impl Stand {
    fn start(kind: Kind, is_ours: bool) -> Result<Self> {
        let engine = engines::start(kind, Options::default())?;
        let client = engine.client().clone();
        images::busybox(&client)?;
        let frontend = artifacts::install(&client)?;
        let frontend = is_ours.then_some(frontend);
        Ok(Self { engine, client, frontend, begin: State::default(), side: Side::default() })
    }

    /// Builds once, for so long.
    fn build(&mut self, dir: &TempDir, number: usize, cancel: Option<Duration>) -> Result<()> {
        let mut build = Build::of(&self.client, &dir.path().join("Dockerfile"));
        build = build.argument(&format!("--build-arg=N={number}"));
        if let Some(frontend) = &self.frontend {
            build = build.through(frontend);
        }
        if let Some(limit) = cancel {
            build = build.limit(limit);
        }
        let outcome = build.run()?;
        match outcome.ended {
            Ended::Well => self.side.well += 1,
            Ended::Hung if cancel.is_some() => self.side.cancelled += 1,
            Ended::Hung => self.side.failed.push(format!("build {number} hung")),
            Ended::Failed => {
                let said = outcome.output.lines().last().unwrap_or_default();
                self.side.failed.push(format!("build {number}: {said}"));
            }
        }
        Ok(())
    }

    fn sample(&mut self, builds: usize) -> Result<()> {
        let state = State::settled(&self.engine, &self.client, Some(&self.begin))?;
        self.side.samples.push(Sample {
            builds,
            memory_kib: state.memory_kib,
            files: state.files,
            threads: state.threads,
        });
        Ok(())
    }

    fn finish(mut self) -> Result<Side> {
        let end = State::settled(&self.engine, &self.client, Some(&self.begin))?;
        self.side.left = end.beyond(&self.begin);
        self.engine.stop()?;
        Ok(self.side)
    }
}

/// Numbers that look random and are the same in each run (Marsaglia's xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}
