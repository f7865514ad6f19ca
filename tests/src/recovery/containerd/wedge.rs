//! Runs whose client is killed: what a bare `ctr run --rm` leaves of them, and what ours does.

use std::io::Read as _;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use xtask::containerd::Kind;

use super::super::raw::{Left, Wedge};
use super::super::report::WRITTEN;
use crate::containerd::{IMAGE, Stage};

/// Cancels so many runs of each kind, each on one containerd that nothing else runs on.
///
/// # Errors
/// When containerd or a client does not play along.
pub(super) fn run(kind: Kind, cancelled: u32) -> Result<Wedge> {
    let script =
        format!("dd if=/dev/zero of=/written bs={WRITTEN} count=1 2>/dev/null; echo up; sleep 100000");
    let stage = Stage::new(kind)?;
    let before = there(&stage)?;
    for number in 0..cancelled {
        let name = format!("wedge-{number}");
        cancel(stage.ctr().args(["run", "--rm", IMAGE, &name, "sh", "-c", &script]))?;
    }
    let ctr = there(&stage)?.since(&before);
    eprintln!("{}: ctr left {ctr:?}", kind.name());
    // It goes with this.
    drop(stage);

    let stage = Stage::new(kind)?;
    let before = there(&stage)?;
    for _ in 0..cancelled {
        cancel(&mut stage.run(&[IMAGE, "sh", "-c", &script]))?;
    }
    ensure!(stage.run(&[IMAGE, "true"]).status()?.success(), "the last run fails");
    let ours = there(&stage)?.since(&before);
    cancel(&mut stage.run(&[IMAGE, "sh", "-c", &script]))?;
    let started = Instant::now();
    stage.recover()?;
    let recovery_seconds = started.elapsed().as_secs_f32();
    let recovered = there(&stage)?.since(&before);
    eprintln!("{}: ours left {ours:?}, and then {recovered:?}", kind.name());
    Ok(Wedge { engine: kind.name().to_owned(), cancelled, ctr, ours, recovered, recovery_seconds })
}

/// Kills a client when its container is up.
fn cancel(command: &mut Command) -> Result<()> {
    let mut client = command.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn()?;
    let mut up = String::new();
    client.stdout.take().context("no output")?.take(3).read_to_string(&mut up)?;
    client.kill()?;
    client.wait()?;
    ensure!(up == "up\n", "the container does not start: {up:?}");
    Ok(())
}

fn there(stage: &Stage) -> Result<Left> {
    let there = stage.there()?;
    let count = |kind: &str| there.iter().filter(|thing| thing.starts_with(kind)).count();
    Ok(Left {
        tasks: count("task "),
        containers: count("container "),
        snapshots: count("snapshot "),
        leases: count("lease "),
        bytes: stage.disk()?,
    })
}
