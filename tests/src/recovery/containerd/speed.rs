//! How long `ci-build run --containerd IMAGE true` takes beside `ctr run --rm IMAGE NAME true`, and a recovery of many leftovers.

use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};
use xtask::containerd::Kind;
use xtask::{artifacts, command, workspace};

use crate::containerd::{IMAGE, Stage};

/// So often each is measured, in turn.
const RUNS: usize = 40;

/// Ours takes at most so much of what `ctr` takes.
const AT_MOST: f64 = 1.1;

/// Times are in milliseconds, from the start of the program to its end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Speed {
    /// By ours, as it is released.
    pub ours_ms: Vec<f64>,
    /// By `ctr run --rm`.
    pub ctr_ms: Vec<f64>,
}

impl Speed {
    /// The median of ours, as a part of that of `ctr`.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        median(&self.ours_ms) / median(&self.ctr_ms)
    }

    pub(super) fn is_as_promised(&self) -> bool {
        self.ratio() <= AT_MOST
    }
}

fn median(times: &[f64]) -> f64 {
    let mut times = times.to_vec();
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or(f64::NAN)
}

pub(super) fn run(kind: Kind) -> Result<Speed> {
    let program = release()?;
    let stage = Stage::with(kind, program)?;
    let mut speed = Speed { ours_ms: Vec::new(), ctr_ms: Vec::new() };
    for number in 0..RUNS {
        speed.ours_ms.push(timed(&mut stage.run(&[IMAGE, "true"]))?);
        let name = format!("speed-{number}");
        speed.ctr_ms.push(timed(stage.ctr().args(["run", "--rm", IMAGE, &name, "true"]))?);
    }
    eprintln!("{}: {:.2} of what ctr takes", kind.name(), speed.ratio());
    Ok(speed)
}

/// The host command as it is used.
fn release() -> Result<PathBuf> {
    let mut build = artifacts::cargo();
    build.args(["build", "--quiet", "--release", "--package", "ci-build", "--bin", "ci-build"]);
    command::run(&mut build)?;
    Ok(workspace::target()?.join("release/ci-build"))
}

fn timed(command: &mut Command) -> Result<f64> {
    let started = Instant::now();
    let status = command.status()?;
    let time = started.elapsed().as_secs_f64() * 1000.0;
    ensure!(status.success(), "it ended {status}");
    Ok(time)
}
