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

use anyhow::{Context, Result};
use xtask::containerd::Kind;
use xtask::poll;

use super::{On, Part, Results, Row, Selection, program, work};

pub use ground::Ground;
pub use scenario::{SCENARIOS, Scenario};

/// One part on one containerd, or on several of its kind, which it has for itself.
pub(super) fn one(part: Part, kind: Kind, selection: &Selection, results: &Results) -> Result<()> {
    results.version(On::Containerd(kind), &version(kind)?)?;
    let (jobs, runs, program) = (selection.jobs, selection.runs, program(part)?);
    let ground = || Ground::new(kind);
    match part {
        Part::Kills => {
            let all = SCENARIOS.iter().flat_map(|scenario| {
                let places = scenario.places.iter().filter(|place| selection.asks_for(place));
                places.map(move |place| (scenario, *place))
            });
            work::shared(jobs, &all.collect::<Vec<_>>(), ground, |ground, (scenario, place)| {
                results.put(repeat(ground, kind.name(), scenario, place, runs)?)
            })
        }
        Part::Shims => work::shared(jobs, deaths::SHIMS, ground, |ground, way| {
            results.put(deaths::shims(kind, ground, way, runs)?)
        }),
        Part::Engines => {
            let place = || Ok(());
            work::shared(jobs, deaths::ENGINES, place, |(), way| {
                results.put(deaths::engines(kind, way, runs)?)
            })?;
            work::shared(jobs, deaths::GIVEN_UP, place, |(), way| {
                results.put(deaths::given_up(kind, way, runs)?)
            })
        }
        Part::Calls => {
            let faults = calls::faults();
            let all = calls::CALLS.iter().flat_map(|call| faults.iter().map(move |fault| (*call, fault)));
            work::shared(jobs, &all.collect::<Vec<_>>(), ground, |ground, (call, fault)| {
                results.put(calls::repeat(kind.name(), ground, *call, fault)?)
            })
        }
        Part::Many => {
            let many = many::run(kind, &program, selection.leftovers)?;
            results.change(|raw| raw.put_many(many))
        }
        Part::Speed => {
            let speed = speed::run(kind, &program, runs)?;
            results.change(|raw| raw.put_speed(speed))
        }
        Part::Wedge => {
            let wedge = wedge::run(kind, selection.cancelled)?;
            results.change(|raw| raw.put_wedge(wedge))
        }
    }
}

fn version(kind: Kind) -> Result<String> {
    let place = tempfile::tempdir().context("cannot create a directory")?;
    xtask::containerd::Containerd::start(kind, place.path())?.version()
}

/// Goes through one scenario, killed at one place, so many times.
///
/// # Errors
/// When the engine or the command does not play along.
pub fn repeat(ground: &Ground, engine: &str, scenario: &Scenario, place: &str, times: u32) -> Result<Row> {
    let (mut left, mut reached, started) = (Vec::new(), 0, Instant::now());
    for time in 0..times {
        let played = scenario.play(ground, place, time);
        reached += u32::from(played.with_context(|| format!("{} at {place}", scenario.name))?);
        left.extend(ground.leftovers().with_context(|| format!("after {} at {place}", scenario.name))?);
    }
    let seconds = started.elapsed().as_secs_f32();
    let (engine, place) = (engine.to_owned(), place.to_owned());
    Ok(Row { engine, scenario: scenario.name.to_owned(), place, times, killed: reached, left, seconds })
}

/// How a command ends that ends by itself; one that does not is killed.
fn ended(command: &mut Child) -> Result<ExitStatus> {
    end(command)?.context("it does not end")
}

/// The same, where one that does not is no error.
fn end(command: &mut Child) -> Result<Option<ExitStatus>> {
    let ended = poll::until(ground::PATIENCE, || Ok(command.try_wait()?))?;
    if ended.is_none() {
        let _ = command.kill();
        command.wait()?;
    }
    Ok(ended)
}
