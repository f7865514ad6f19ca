//! Many leftovers at once.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use ci_build::journal::{EngineAt, Journal, Owner, Record};
use ci_build::store::Process;
use xtask::command;
use xtask::images::BUSYBOX;

use super::ground::Ground;
use super::raw::Many;
use super::work;

/// How many are made at once.
pub(super) const AT_ONCE: usize = 4;

/// One in so many runs.
pub(super) const RUNNING: u32 = 20;

/// One in so many has only its labels.
pub(super) const UNRECORDED: u32 = 4;

/// Leaves so many containers of a dead owner, and removes them by one recovery of this program.
///
/// # Errors
/// When the engine or the command does not play along.
pub fn run(engine: &str, ground: &Ground, program: &Path, containers: u32) -> Result<Many> {
    let owner = dead()?;
    let address = ground.client().host().to_owned();
    let name = command::output(ground.client().docker().args(["info", "--format", "{{.ID}}"]))?;
    let place = EngineAt::Docker { address, engine: name.trim().to_owned() };
    let journal = Journal::open_in(ground.state())?;
    let numbers: Vec<u32> = (0..containers).collect();
    let leave = |(): &(), number: &u32| leave(ground, &journal, &place, &owner, *number);
    work::shared(AT_ONCE, &numbers, || Ok(()), leave).context("cannot leave containers")?;
    let mut recover = ground.client().set_up(Command::new(program));
    recover.args(["recover", "--format", "json"]).env("CI_BUILD_STATE_DIR", ground.state());
    let started = Instant::now();
    let output = recover.stderr(Stdio::inherit()).output().context("cannot run ci-build recover")?;
    let seconds = started.elapsed().as_secs_f32();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).context("no report")?;
    let removed = report["removed"].as_array().map_or(0, Vec::len);
    ensure!(removed == containers as usize, "it removed {removed} of {containers}");
    let left = ground.leftovers()?;
    let count = |one_in: u32| containers.div_ceil(one_in);
    let (running, recorded) = (count(RUNNING), containers - count(UNRECORDED));
    Ok(Many { engine: engine.to_owned(), containers, running, recorded, seconds, left })
}

/// Who has ended.
fn dead() -> Result<Owner> {
    let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().context("cannot run cat")?;
    let process = Process::of(child.id()).context("cat has no process")?;
    child.kill()?;
    child.wait()?;
    Ok(Owner::of(process))
}

/// As a killed run leaves it: a record, and a container that has its name.
fn leave(ground: &Ground, journal: &Journal, place: &EngineAt, owner: &Owner, number: u32) -> Result<()> {
    let name = if number.is_multiple_of(UNRECORDED) {
        format!("{number:016x}")
    } else {
        let entry = journal.intend(Record::new(place.clone(), owner.clone(), "docker run leftover"))?;
        // Dropped, it is nobody's.
        entry.name().to_owned()
    };
    let runs = number.is_multiple_of(RUNNING);
    let labels = [format!("ci-build.owner={owner}"), format!("ci-build.run={name}")];
    let mut docker = ground.client().docker();
    docker.args(if runs { &["run", "-d"][..] } else { &["create"] });
    docker.args(labels.iter().flat_map(|label| ["--label", label]));
    command::run(docker.args(["--network", "none", BUSYBOX, "sleep", ground.long()]))
}
