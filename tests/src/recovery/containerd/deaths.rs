//! What watches over containers dies: their shims, and containerd.

use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use xtask::containerd::Kind;
use xtask::poll;

use super::super::moments;
use super::super::raw::Row;
use super::ground::{Ground, LONG, PATIENCE};
use super::scenario::{ENDS, IS_STOPPED, RUNS_ON, UNPACKS};
use crate::containerd::IMAGE;

/// Whose shims are killed, in words; and whether the run is killed before.
pub(super) const SHIMS: &[(&str, bool)] = &[("with its run", false), ("after its run", true)];

/// Shims are killed: with the run that waits for them, or when that was killed before.
///
/// # Errors
/// When a container has none, or the command does not play along.
pub(super) fn shims(kind: Kind, ground: &Ground, way: &(&str, bool), times: u32) -> Result<Row> {
    let (place, is_run_killed) = *way;
    let (mut left, started) = (Vec::new(), Instant::now());
    for _ in 0..times {
        shim(ground, is_run_killed).with_context(|| format!("the shim {place}"))?;
        left.extend(ground.leftovers()?);
    }
    Ok(row(kind, "shim that is killed", place, times, left, started))
}

fn shim(ground: &Ground, is_run_killed: bool) -> Result<()> {
    const NAME: &str = "loses-its-shim";
    let before = ground.sleepers()?;
    let mut run = ground.run(&["--name", NAME, IMAGE, "sleep", LONG]).spawn()?;
    let up = poll::until(PATIENCE, || Ok((ground.sleepers()? > before).then_some(())))?;
    up.context("the container does not start")?;
    if is_run_killed {
        run.kill()?;
    }
    let shims = ground.stage.shims(NAME)?;
    ensure!(!shims.is_empty(), "the container has no shim");
    for shim in shims {
        kill_process(Pid::from_raw(shim).context("no pid")?, Signal::KILL).context("cannot kill")?;
    }
    super::ended(&mut run).map(drop)
}

/// What runs when its containerd is killed at any moment and comes back at once, in words.
pub(super) const ENGINES: &[(&str, &[&str])] =
    &[("a run", ENDS), ("a run of an archive", UNPACKS), ("a run that is stopped", IS_STOPPED)];

/// containerd is killed beneath a run, and comes back at once.
///
/// # Errors
/// When it does not come back, or the command does not play along.
pub(super) fn engines(kind: Kind, (place, words): &(&str, &[&str]), times: u32) -> Result<Row> {
    let mut ground = Ground::new(kind)?;
    let (mut left, started) = (Vec::new(), Instant::now());
    let whole = moments::whole(&mut ground.run(words))?;
    for time in 0..times {
        let mut run = ground.run(words).spawn()?;
        thread::sleep(moments::moment(whole, time));
        ground.stage.engine.kill()?;
        ground.stage.engine.start_again()?;
        super::ended(&mut run).with_context(|| format!("the containerd of {place}"))?;
        left.extend(ground.leftovers().with_context(|| format!("after the containerd of {place}"))?);
    }
    Ok(row(kind, "containerd that is killed", place, times, left, started))
}

/// Runs whose containerd stays away: one is ended by its time limit, one gives containerd up, which takes half a minute.
pub(super) const GIVEN_UP: &[(&str, &[&str])] = &[
    ("a run that is ended without it", &["--timeout", "20s", "--grace", "500ms", IMAGE, "sleep", LONG]),
    ("a run that gives it up", RUNS_ON),
];

/// containerd is killed when the container is up, and comes back when its run has ended.
///
/// # Errors
/// As [`engines`], and when the container does not come up.
pub(super) fn given_up(kind: Kind, (place, words): &(&str, &[&str]), times: u32) -> Result<Row> {
    // A living owner would give it up too.
    let mut ground = Ground::without_life(kind)?;
    let (mut left, started) = (Vec::new(), Instant::now());
    for _ in 0..times {
        let before = ground.sleepers()?;
        let mut run = ground.run(words).spawn()?;
        let up = poll::until(PATIENCE, || Ok((ground.sleepers()? > before).then_some(())))?;
        up.context("the container does not start")?;
        ground.stage.engine.kill()?;
        let ended = super::ended(&mut run);
        let alone = ground.sleepers()?;
        if alone > before {
            left.push(format!("its container runs on: {alone} processes, not {before}"));
        }
        ground.stage.engine.start_again()?;
        ended.with_context(|| (*place).to_owned())?;
        left.extend(ground.leftovers()?);
    }
    Ok(row(kind, "containerd that is killed", place, times, left, started))
}

fn row(kind: Kind, scenario: &str, place: &str, times: u32, left: Vec<String>, started: Instant) -> Row {
    let (engine, scenario, place) = (kind.name().to_owned(), scenario.to_owned(), place.to_owned());
    Row { engine, scenario, place, times, killed: times, left, seconds: started.elapsed().as_secs_f32() }
}
