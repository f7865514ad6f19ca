//! How long a run of a container takes that does nothing, beside docker's.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;
use xtask::client::Client;
use xtask::images::BUSYBOX;

use super::raw::Speed;

/// Runs that are not counted: the engine's first container, files that are read for the first time.
const WARM: u32 = 3;

/// Measures both in turns, so that what else the machine does falls on both alike.
///
/// # Errors
/// When a run does not end well.
pub fn run(engine: &str, client: &Client, program: &Path, runs: u32) -> Result<Speed> {
    let state = TempDir::new().context("cannot create a directory")?;
    let mut speed = Speed { engine: engine.to_owned(), ..Speed::default() };
    let ours = || {
        let mut command = client.set_up(Command::new(program));
        command.args(["run", BUSYBOX, "true"]).env("CI_BUILD_STATE_DIR", state.path());
        wall(command)
    };
    let dockers = || {
        let mut command = client.docker();
        command.args(["run", "--rm", BUSYBOX, "true"]);
        wall(command)
    };
    for number in 0..WARM + runs {
        // Whoever comes second finds what the first one has warmed.
        let (ours, dockers) = if number % 2 == 0 {
            let ours = ours()?;
            (ours, dockers()?)
        } else {
            let dockers = dockers()?;
            (ours()?, dockers)
        };
        if number >= WARM {
            speed.ours_ms.push(ours);
            speed.docker_ms.push(dockers);
        }
    }
    Ok(speed)
}

fn wall(mut command: Command) -> Result<f64> {
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let begin = Instant::now();
    let status = command.status().context("cannot run a container")?;
    let wall = begin.elapsed();
    ensure!(status.success(), "it ended {status}");
    Ok(wall.as_secs_f64() * 1000.0)
}
