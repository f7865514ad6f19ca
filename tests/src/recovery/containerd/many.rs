//! Many leftovers at once.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use xtask::containerd::Kind;

use super::super::many::{AT_ONCE, RUNNING, UNRECORDED};
use super::super::raw::Many;
use super::super::work;
use super::ground::Ground;
use crate::containerd::{IMAGE, report};

/// Leaves what so many killed runs leave, and removes it by one recovery of this program.
///
/// # Errors
/// When containerd or the command does not play along.
pub(super) fn run(kind: Kind, program: &Path, containers: u32) -> Result<Many> {
    let ground = Ground::new(kind)?;
    let before = ground.stage.records()?;
    let numbers: Vec<u32> = (0..containers).collect();
    let leave = |(): &(), number: &u32| leave(&ground, *number);
    work::shared(AT_ONCE, &numbers, || Ok(()), leave).context("cannot leave containers")?;
    let records: Vec<String> = ground.stage.records()?.difference(&before).cloned().collect();
    ensure!(records.len() == containers as usize, "{} of {containers} left a record", records.len());
    for record in records.iter().step_by(UNRECORDED as usize) {
        fs::remove_file(ground.stage.state().join("journal").join(record))?;
    }
    let mut recover = ground.stage.set_up(Command::new(program));
    recover.args(["recover", "--format", "json"]).stderr(Stdio::inherit());
    let started = Instant::now();
    let report = report(&mut recover)?;
    let seconds = started.elapsed().as_secs_f32();
    let removed = report["removed"].as_array().map_or(0, Vec::len);
    ensure!(removed == containers as usize, "it removed {removed} of {containers}");
    let left = ground.leftovers()?;
    let count = |one_in: u32| containers.div_ceil(one_in);
    let (running, recorded) = (count(RUNNING), containers - count(UNRECORDED));
    Ok(Many { engine: kind.name().to_owned(), containers, running, recorded, seconds, left })
}

/// A run that is killed, and whose job has ended: without a record only both together say that its container is nobody's.
fn leave(ground: &Ground, number: u32) -> Result<()> {
    let place = if number.is_multiple_of(RUNNING) { "run.started" } else { "containerd.contained" };
    let sleep = format!("sleep {}", ground.long());
    // The shell is the job, and must not become the command.
    let script = format!("\"$CI_BUILD\" run --containerd --no-recover {IMAGE} {sleep}; exit $?");
    let mut job = ground.quiet(ground.stage.session(&script));
    let status = job.env("CI_BUILD_TEST_KILL_AT", place).status().context("cannot run a job")?;
    ensure!(status.code() == Some(137), "it was not killed: {status}");
    Ok(())
}
