//! How long it takes to choose among many images, and to delete some beside `docker rmi`.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tempfile::TempDir;
use xtask::client::Client;
use xtask::engines::{self, Engine, Kind, Options};
use xtask::{artifacts, command, images, machine};

use super::fake::Fake;

/// How many images and containers are chosen among.
const MANY: (usize, usize) = (10_000, 1_000);

/// How many images are deleted.
const SOME: usize = 200;

/// How often each is measured.
const RUNS: usize = 7;

/// What was measured. Times are in milliseconds, from the start of the program to its end.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Speed {
    /// What was measured on, and when.
    pub machine: Value,
    /// Choosing among 10,000 images and 1,000 containers: the first time, when nothing is known, and later ones.
    pub choose_first_ms: Vec<f64>,
    /// The same once the images have records of their last use.
    pub choose_ms: Vec<f64>,
    /// Deleting 200 images, by engine.
    pub delete: BTreeMap<String, Delete>,
}

/// Deleting the same list by both, in turn.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Delete {
    /// By `ci-build prune`.
    pub ours_ms: Vec<f64>,
    /// By one `docker rmi`.
    pub rmi_ms: Vec<f64>,
}

/// Measures both, on these engines, and hands on all that is known after each. What is known of other engines stays.
///
/// # Errors
/// When an engine or a program does not do its part, or the measurements cannot be kept.
pub fn run(kinds: &[Kind], speed: &mut Speed, mut keep: impl FnMut(&Speed) -> Result<()>) -> Result<()> {
    let ci_build = artifacts::release_command()?;
    speed.machine = machine::description()?;
    for (index, &kind) in kinds.iter().enumerate() {
        let engine = engines::start(kind, Options::default())?;
        images::busybox(engine.client())?;
        if index == 0 {
            choose(&engine, &ci_build, speed)?;
        }
        speed.delete.insert(kind.name().to_owned(), delete(engine.client(), &ci_build)?);
        engine.stop()?;
        keep(speed)?;
    }
    Ok(())
}

fn choose(real: &Engine, ci_build: &Path, speed: &mut Speed) -> Result<()> {
    let fake = Fake::like(real, MANY.0, MANY.1)?;
    let dry_run = |state: &TempDir| -> Result<f64> {
        let mut prune = Command::new(ci_build);
        // Nothing is so old that it goes: of what goes a dry run asks the engine, one by one.
        prune
            .args(["prune", "--dry-run", "--format", "json", "--older-than", "2000h"])
            .args(["--disk-high", "100", "--disk-low", "100", "--inodes-high", "100"])
            .env("CI_BUILD_STATE_DIR", state.path().join("state"));
        prune.env("DOCKER_HOST", format!("unix://{}", fake.socket().display())).env_remove("DOCKER_CONTEXT");
        let begin = Instant::now();
        let output = prune.stderr(Stdio::null()).output().context("cannot prune")?;
        let wall = ms(begin);
        let report: Value = serde_json::from_slice(&output.stdout).context("there is no report")?;
        let decided = report["things"].as_array().map_or(0, Vec::len);
        ensure!(decided == MANY.0, "{decided} images were decided about");
        Ok(wall)
    };
    speed.choose_first_ms.clear();
    speed.choose_ms.clear();
    for _ in 0..RUNS {
        let state = tempfile::tempdir().context("cannot create a directory")?;
        speed.choose_first_ms.push(dry_run(&state)?);
    }
    let state = tempfile::tempdir().context("cannot create a directory")?;
    remember(&fake, ci_build, &state)?;
    for _ in 0..RUNS {
        speed.choose_ms.push(dry_run(&state)?);
    }
    Ok(())
}

/// A prune that keeps everything, and writes down that it saw it.
fn remember(fake: &Fake, ci_build: &Path, state: &TempDir) -> Result<()> {
    let mut prune = Command::new(ci_build);
    prune.args(["prune", "--keep", "*", "--disk-high", "100", "--disk-low", "100"]);
    prune.env("CI_BUILD_STATE_DIR", state.path().join("state"));
    prune.env("DOCKER_HOST", format!("unix://{}", fake.socket().display())).env_remove("DOCKER_CONTEXT");
    command::run(&mut prune)
}

fn delete(client: &Client, ci_build: &Path) -> Result<Delete> {
    let mut delete = Delete::default();
    for _ in 0..RUNS {
        let state = tempfile::tempdir().context("cannot create a directory")?;
        let names = make(client)?;
        let mut prune = client.set_up(Command::new(ci_build));
        prune.env("CI_BUILD_STATE_DIR", state.path().join("state"));
        prune.args(["prune", "--older-than", "0", "--grace", "0", "--disk-high", "100", "--disk-low", "100"]);
        prune.args(["--repository", "speed", "--format", "json"]);
        let begin = Instant::now();
        let report = command::output(&mut prune)?;
        delete.ours_ms.push(ms(begin));
        let report: Value = serde_json::from_str(&report).context("there is no report")?;
        ensure!(report["deleted"] == SOME, "{} images were deleted", report["deleted"]);

        ensure!(make(client)? == names, "other images were made");
        let mut rmi = client.docker();
        rmi.arg("rmi").args(&names);
        let begin = Instant::now();
        command::run(&mut rmi)?;
        delete.rmi_ms.push(ms(begin));
    }
    Ok(delete)
}

/// Images with a layer of their own, and their names.
fn make(client: &Client) -> Result<Vec<String>> {
    let dir = tempfile::tempdir().context("cannot create a directory")?;
    let path = dir.path().join("layer.tar");
    let make = |number: usize| {
        let name = format!("speed:{number}");
        let mut tar = tar::Builder::new(std::fs::File::create(&path).context("cannot create a file")?);
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        let content = format!("image {number}");
        header.set_size(content.len() as u64);
        tar.append_data(&mut header, "file", content.as_bytes()).context("cannot write a tar file")?;
        tar.finish().context("cannot write a tar file")?;
        command::run(client.docker().arg("import").arg(&path).arg(&name))?;
        Ok(name)
    };
    (0..SOME).map(make).collect()
}

fn ms(begin: Instant) -> f64 {
    (begin.elapsed().as_secs_f64() * 10_000.0).round() / 10.0
}

/// The value in the middle.
#[must_use]
pub fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
