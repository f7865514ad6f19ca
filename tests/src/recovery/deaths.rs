//! What watches over containers dies: their shims, and the engine.

use std::fs;
use std::path::Path;
use std::process::Child;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use xtask::engines::{self, Kind, Options};
use xtask::{command, images, poll};

use super::ground::{Ground, PATIENCE};
use super::moments;
use super::raw::Row;
use super::scenario::{ENDS, IS_DETACHED, IS_STOPPED};

/// A run that goes on until somebody ends it.
const STAYS: &[&str] = &["run", "-v", "/anonymous", images::BUSYBOX, "sleep", super::ground::LONG];

/// Who is killed beside the shim of a container.
#[derive(Debug, Clone, Copy)]
pub enum Shim {
    /// Nobody: `ci-build run` sees to what is left.
    Alone,
    /// `ci-build run`, before.
    AfterTheRun,
    /// Nobody, and the run is detached.
    Detached,
}

/// Whose shims are killed, in words.
pub const SHIMS: &[(&str, Shim)] = &[
    ("with its run", Shim::Alone),
    ("after its run", Shim::AfterTheRun),
    ("of a detached run", Shim::Detached),
];

/// Kills shims of containers in one way.
///
/// # Errors
/// When a container has none, or the command does not play along.
pub fn shims(engine: &str, ground: &Ground, (place, way): &(&str, Shim), times: u32) -> Result<Row> {
    let (mut left, started) = (Vec::new(), Instant::now());
    for _ in 0..times {
        shim(ground, *way).with_context(|| format!("the shim {place}"))?;
        left.extend(ground.leftovers()?);
    }
    Ok(row(engine, "shim that is killed", place, times, left, started))
}

fn shim(ground: &Ground, way: Shim) -> Result<()> {
    let before = containers(ground)?;
    let run = match way {
        Shim::Alone | Shim::AfterTheRun => Some(ground.ours(STAYS).spawn()?),
        Shim::Detached => {
            ground.leave()?;
            None
        }
    };
    let ours = poll::until(PATIENCE, || {
        Ok(containers(ground)?
            .into_iter()
            .find(|id| !before.contains(id) && matches!(init(ground, id), Ok(Some(_)))))
    })?;
    let ours = ours.context("the container does not start")?;
    let init = init(ground, &ours)?.context("the container has ended")?;
    let shim = parent(init).context("the container's process has no parent")?;
    let line = fs::read(format!("/proc/{shim}/cmdline")).unwrap_or_default();
    ensure!(String::from_utf8_lossy(&line).contains("shim"), "the parent is no shim");
    if let (Shim::AfterTheRun, Some(run)) = (way, &run) {
        kill(i32::try_from(run.id())?)?;
    }
    kill(shim)?;
    if let Some(run) = run {
        ended(run)?;
    }
    Ok(())
}

/// The running containers.
fn containers(ground: &Ground) -> Result<Vec<String>> {
    let running = ["ps", "--quiet", "--no-trunc", "--filter", "label=ci-build.run"];
    Ok(command::output(ground.client().docker().args(running))?.lines().map(str::to_owned).collect())
}

/// A container's first process; none where it has none.
fn init(ground: &Ground, id: &str) -> Result<Option<i32>> {
    let pid = command::output(ground.client().docker().args(["inspect", "--format", "{{.State.Pid}}", id]))?;
    Ok(pid.trim().parse().ok().filter(|pid| *pid != 0))
}

fn parent(pid: i32) -> Option<i32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse().ok()
}

fn kill(pid: i32) -> Result<()> {
    kill_process(Pid::from_raw(pid).context("no pid")?, Signal::KILL).context("cannot kill")
}

fn ended(mut run: Child) -> Result<()> {
    let ended = poll::until(PATIENCE, || Ok(run.try_wait()?))?;
    if ended.is_none() {
        let _ = run.kill();
    }
    ended.map(drop).context("ci-build run does not end")
}

/// What runs when its engine is killed, in words.
pub const ENGINES: &[(&str, &[&str])] =
    &[("a run", ENDS), ("a run that is stopped", IS_STOPPED), ("a detached run", IS_DETACHED)];

/// Kills engines beneath runs, and starts them anew. Gives their version, too.
///
/// # Errors
/// When an engine does not come back, or the command does not play along.
pub fn engines(
    kind: Kind,
    program: &Path,
    (place, words): &(&str, &[&str]),
    times: u32,
) -> Result<(String, Row)> {
    let mut engine = engines::start(kind, Options::default())?;
    images::busybox(engine.client())?;
    let ground = Ground::without_life(engine.client().clone(), program.to_owned())?;
    // The journal is there too before the first one dies.
    let whole = moments::whole(&mut ground.job(words))?;
    ground.leftovers()?;
    let (mut left, started) = (Vec::new(), Instant::now());
    for time in 0..times {
        let run = ground.job(words).spawn()?;
        std::thread::sleep(moments::moment(whole, time));
        engine.kill()?;
        ended(run)?;
        engine.revive()?;
        left.extend(ground.leftovers().with_context(|| format!("after the engine of {place}"))?);
    }
    drop(ground);
    let version = engine.version().to_owned();
    engine.stop()?;
    Ok((version, row(kind.name(), "engine that is killed", place, times, left, started)))
}

fn row(engine: &str, scenario: &str, place: &str, times: u32, left: Vec<String>, started: Instant) -> Row {
    let (engine, scenario, place) = (engine.to_owned(), scenario.to_owned(), place.to_owned());
    Row { engine, scenario, place, times, killed: times, left, seconds: started.elapsed().as_secs_f32() }
}
