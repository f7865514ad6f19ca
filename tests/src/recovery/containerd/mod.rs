//! The recovery laboratory on containerd without docker: the same as on docker, and hundreds of cancelled runs beside those of
//! a bare `ctr run --rm`.

pub mod calls;
pub mod deaths;
mod ground;
mod many;
mod scenario;
mod speed;
mod wedge;

use std::process::{Child, ExitStatus};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use xtask::containerd::Kind;
use xtask::poll;

use super::{On, Part, Results, Row, Selection, program};

pub use ground::Ground;
pub use scenario::{SCENARIOS, Scenario};

/// One part on one containerd, which it has for itself.
pub(super) fn one(part: Part, kind: Kind, selection: &Selection, results: &mut Results) -> Result<()> {
    results.version(On::Containerd(kind), &version(kind)?);
    let program = program(part)?;
    match part {
        Part::Kills => {
            let ground = Ground::new(kind)?;
            for scenario in SCENARIOS {
                for place in scenario.places.iter().filter(|place| selection.asks_for(place)) {
                    results.put(repeat(&ground, kind.name(), scenario, place, selection.runs)?)?;
                }
            }
        }
        Part::Shims => {
            for row in deaths::shims(kind, selection.runs)? {
                results.put(row)?;
            }
        }
        Part::Engines => {
            for row in deaths::engines(kind, selection.runs)? {
                results.put(row)?;
            }
        }
        Part::Calls => {
            let ground = Ground::new(kind)?;
            for call in calls::CALLS {
                for fault in &calls::faults() {
                    results.put(calls::repeat(kind.name(), &ground, *call, fault)?)?;
                }
            }
        }
        Part::Many => results.raw.put_many(many::run(kind, &program, selection.leftovers)?),
        Part::Speed => results.raw.put_speed(speed::run(kind, &program, selection.runs)?),
        Part::Wedge => results.raw.put_wedge(wedge::run(kind, selection.cancelled)?),
    }
    Ok(())
}

fn version(kind: Kind) -> Result<String> {
    let place = tempfile::tempdir().context("cannot create a directory")?;
    xtask::containerd::Containerd::start(kind, place.path())?.version()
}

/// Goes through one scenario, killed at one place, so many times.
///
/// # Errors
/// When the engine or the command does not play along, or the place is not reached.
pub fn repeat(ground: &Ground, engine: &str, scenario: &Scenario, place: &str, times: u32) -> Result<Row> {
    let (mut left, mut reached, started) = (Vec::new(), 0, Instant::now());
    for time in 0..times {
        let played = scenario.play(ground, place, time);
        reached += u32::from(played.with_context(|| format!("{} at {place}", scenario.name))?);
        left.extend(ground.leftovers().with_context(|| format!("after {} at {place}", scenario.name))?);
    }
    if reached == 0 {
        bail!("{} is never killed at {place}: the trial is none", scenario.name);
    }
    let seconds = started.elapsed().as_secs_f32();
    let (engine, place) = (engine.to_owned(), place.to_owned());
    Ok(Row { engine, scenario: scenario.name.to_owned(), place, times, killed: reached, left, seconds })
}

/// How a command ends that ends by itself; one that does not is killed.
fn ended(command: &mut Child) -> Result<ExitStatus> {
    let ended = poll::until(ground::PATIENCE, || Ok(command.try_wait()?))?;
    if ended.is_none() {
        let _ = command.kill();
        command.wait()?;
    }
    ended.context("it does not end")
}
