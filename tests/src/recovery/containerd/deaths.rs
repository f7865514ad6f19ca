//! What watches over containers dies: their shims, and containerd.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use xtask::containerd::Kind;
use xtask::poll;

use super::super::raw::Row;
use super::ground::{Ground, LONG, PATIENCE};
use super::scenario::{ENDS, IS_STOPPED, UNPACKS};
use crate::containerd::IMAGE;

/// Shims are killed: with the run that waits for them, or when that was killed before.
///
/// # Errors
/// When a container has none, or the command does not play along.
pub fn shims(kind: Kind, times: u32) -> Result<Vec<Row>> {
    let ground = Ground::new(kind)?;
    let row = |(place, is_run_killed): (&str, bool)| {
        let (mut left, started) = (Vec::new(), Instant::now());
        for _ in 0..times {
            shim(&ground, is_run_killed).with_context(|| format!("the shim {place}"))?;
            left.extend(ground.leftovers()?);
        }
        Ok(row(kind, "shim that is killed", place, times, left, started))
    };
    [("with its run", false), ("after its run", true)].into_iter().map(row).collect()
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
        let shim = i32::try_from(shim).ok().and_then(Pid::from_raw).context("no pid")?;
        kill_process(shim, Signal::KILL).context("cannot kill")?;
    }
    super::ended(&mut run).map(drop)
}

/// containerd is killed beneath a run and comes back: at once, or when the run has given it up.
///
/// # Errors
/// When it does not come back, or the command does not play along.
pub fn engines(kind: Kind, times: u32) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    let mut ground = Ground::new(kind)?;
    // Moments that are spread over the whole of a run.
    for (place, words, step) in [
        ("a run", ENDS, 30),
        ("a run of an archive", UNPACKS, 50),
        ("a run that is stopped", IS_STOPPED, 110),
    ] {
        let (mut left, started) = (Vec::new(), Instant::now());
        for time in 0..times {
            let mut run = ground.run(words).spawn()?;
            thread::sleep(Duration::from_millis(u64::from(time % 20) * step));
            ground.stage.engine.kill()?;
            ground.stage.engine.start_again()?;
            super::ended(&mut run).context(place)?;
            left.extend(ground.leftovers().with_context(|| format!("after the containerd of {place}"))?);
        }
        rows.push(row(kind, "containerd that is killed", place, times, left, started));
    }
    drop(ground);
    rows.push(given_up(kind, times.min(GIVEN_UP))?);
    Ok(rows)
}

/// A run waits half a minute for containerd, so this is not tried often.
const GIVEN_UP: u32 = 3;

fn given_up(kind: Kind, times: u32) -> Result<Row> {
    let mut ground = Ground::without_life(kind)?;
    let (mut left, started) = (Vec::new(), Instant::now());
    for time in 0..times {
        let mut run = ground.run(IS_STOPPED).spawn()?;
        thread::sleep(Duration::from_millis(u64::from(time) * 700));
        ground.stage.engine.kill()?;
        let ended = super::ended(&mut run);
        ground.stage.engine.start_again()?;
        ended.context("a run whose containerd is gone")?;
        left.extend(ground.leftovers()?);
    }
    Ok(row(kind, "containerd that is killed", "a run that gives it up", times, left, started))
}

fn row(kind: Kind, scenario: &str, place: &str, times: u32, left: Vec<String>, started: Instant) -> Row {
    let (engine, scenario, place) = (kind.name().to_owned(), scenario.to_owned(), place.to_owned());
    Row { engine, scenario, place, times, killed: times, left, seconds: started.elapsed().as_secs_f32() }
}
