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
    let (engine, theirs) = (engine.to_owned(), "docker run --rm".to_owned());
    let mut speed = Speed { engine, theirs, ..Speed::default() };
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
    in_turns(&mut speed, runs, |_| ours(), |_| dockers())?;
    Ok(speed)
}

/// Runs both in turns, with the number of the turn.
pub(super) fn in_turns(
    speed: &mut Speed,
    runs: u32,
    ours: impl Fn(u32) -> Result<f64>,
    theirs: impl Fn(u32) -> Result<f64>,
) -> Result<()> {
    for number in 0..WARM + runs {
        // Whoever comes second finds what the first one has warmed.
        let (ours, theirs) = if number.is_multiple_of(2) {
            let ours = ours(number)?;
            (ours, theirs(number)?)
        } else {
            let theirs = theirs(number)?;
            (ours(number)?, theirs)
        };
        if number >= WARM {
            speed.ours_ms.push(ours);
            speed.theirs_ms.push(theirs);
        }
    }
    Ok(())
}

/// How long a command takes, in milliseconds.
pub(super) fn wall(mut command: Command) -> Result<f64> {
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let begin = Instant::now();
    let status = command.status().context("cannot run a container")?;
    let wall = begin.elapsed();
    ensure!(status.success(), "it ended {status}");
    Ok(wall.as_secs_f64() * 1000.0)
}
