//! What watches over containers dies: their shims, and containerd.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use xtask::containerd::Kind;
use xtask::poll;

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

/// What runs when its containerd is killed.
#[derive(Debug)]
pub(super) enum Beneath {
    /// This. containerd comes back at once. Each time it is killed so many milliseconds later.
    Run(&'static [&'static str], u64),
    /// A run that gives it up, since it stays away for so long.
    GivenUp,
}

/// What runs when its containerd is killed, in words. The moments are spread over the whole of a run.
pub(super) const ENGINES: &[(&str, Beneath)] = &[
    ("a run", Beneath::Run(ENDS, 30)),
    ("a run of an archive", Beneath::Run(UNPACKS, 50)),
    ("a run that is stopped", Beneath::Run(IS_STOPPED, 110)),
    ("a run that gives it up", Beneath::GivenUp),
];

/// A run waits half a minute for containerd, so this is not tried often.
const GIVEN_UP: u32 = 3;

/// containerd is killed beneath a run and comes back: at once, or when the run has given it up.
///
/// # Errors
/// When it does not come back, or the command does not play along.
pub(super) fn engines(kind: Kind, (place, beneath): &(&'static str, Beneath), times: u32) -> Result<Row> {
    let mut left = Vec::new();
    let (times, mut ground) = match beneath {
        Beneath::Run(..) => (times, Ground::new(kind)?),
        // The living owner would give it up too.
        Beneath::GivenUp => (times.min(GIVEN_UP), Ground::without_life(kind)?),
    };
    let started = Instant::now();
    for time in 0..times {
        let (words, wait, comes_back) = match beneath {
            Beneath::Run(words, step) => (*words, u64::from(time % 20) * step, true),
            // The last one has no time limit.
            Beneath::GivenUp => {
                (if time + 1 < times { IS_STOPPED } else { RUNS_ON }, u64::from(time) * 700, false)
            }
        };
        let mut run = ground.run(words).spawn()?;
        thread::sleep(Duration::from_millis(wait));
        ground.stage.engine.kill()?;
        if comes_back {
            ground.stage.engine.start_again()?;
            super::ended(&mut run).context(*place)?;
        } else {
            let ended = super::ended(&mut run);
            ground.stage.engine.start_again()?;
            ended.context(*place)?;
        }
        left.extend(ground.leftovers().with_context(|| format!("after the containerd of {place}"))?);
    }
    Ok(row(kind, "containerd that is killed", place, times, left, started))
}

fn row(kind: Kind, scenario: &str, place: &str, times: u32, left: Vec<String>, started: Instant) -> Row {
    let (engine, scenario, place) = (kind.name().to_owned(), scenario.to_owned(), place.to_owned());
    Row { engine, scenario, place, times, killed: times, left, seconds: started.elapsed().as_secs_f32() }
}
