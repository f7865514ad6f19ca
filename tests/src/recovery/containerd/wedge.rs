//! 300 runs whose client is killed: what a bare `ctr run --rm` leaves of them, and what ours does.

use std::io::Read as _;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use xtask::containerd::Kind;

use crate::containerd::{IMAGE, Stage};

/// So many runs are cancelled.
const RUNS: usize = 300;

/// Each writes so much, in MiB.
const WRITTEN: usize = 1;

/// What 300 cancelled runs left.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Wedge {
    /// Of `ctr run --rm`.
    pub ctr: Left,
    /// Of `ci-build run --containerd`, each of which looks first for what the others left, when one more has ended by itself.
    pub ours: Left,
    /// The same after `ci-build recover`.
    pub recovered: Left,
    /// How long that recovery took, of what the last of them left.
    pub recovery_seconds: f32,
}

/// What is there that was not there before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Left {
    /// Running tasks.
    pub tasks: usize,
    /// Containers.
    pub containers: usize,
    /// Snapshots.
    pub snapshots: usize,
    /// Leases.
    pub leases: usize,
    /// Bytes of snapshots on the disk.
    pub bytes: u64,
}

impl Wedge {
    /// Whether ours left nothing, and the control did.
    #[must_use]
    pub fn is_as_promised(&self) -> bool {
        let Left { tasks, containers, snapshots, leases, .. } = self.recovered;
        [tasks, containers, snapshots, leases] == [0; 4] && self.ctr.containers == RUNS
    }
}

pub(super) fn run(kind: Kind) -> Result<Wedge> {
    let script =
        format!("dd if=/dev/zero of=/written bs=1M count={WRITTEN} 2>/dev/null; echo up; sleep 100000");
    let stage = Stage::new(kind)?;
    let before = Left::of(&stage)?;
    for number in 0..RUNS {
        let name = format!("wedge-{number}");
        cancelled(stage.ctr().args(["run", "--rm", IMAGE, &name, "sh", "-c", &script]))?;
    }
    let ctr = Left::of(&stage)?.since(&before);
    eprintln!("{}: ctr left {ctr:?}", kind.name());
    // It goes with this.
    drop(stage);

    let stage = Stage::new(kind)?;
    let before = Left::of(&stage)?;
    for _ in 0..RUNS {
        cancelled(&mut stage.run(&[IMAGE, "sh", "-c", &script]))?;
    }
    ensure!(stage.run(&[IMAGE, "true"]).status()?.success(), "the last run fails");
    let ours = Left::of(&stage)?.since(&before);
    cancelled(&mut stage.run(&[IMAGE, "sh", "-c", &script]))?;
    let started = Instant::now();
    stage.recover()?;
    let recovery_seconds = started.elapsed().as_secs_f32();
    let recovered = Left::of(&stage)?.since(&before);
    eprintln!("{}: ours left {ours:?}, and then {recovered:?}", kind.name());
    Ok(Wedge { ctr, ours, recovered, recovery_seconds })
}

/// Kills a client when its container is up.
fn cancelled(command: &mut Command) -> Result<()> {
    let mut client = command.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn()?;
    let mut up = [0; 3];
    client.stdout.take().context("no output")?.read_exact(&mut up).context("the container does not start")?;
    ensure!(&up == b"up\n", "it says {up:?}");
    client.kill()?;
    client.wait()?;
    Ok(())
}

impl Left {
    fn of(stage: &Stage) -> Result<Self> {
        let there = stage.there()?;
        let count = |kind: &str| there.iter().filter(|thing| thing.starts_with(kind)).count();
        Ok(Self {
            tasks: count("task "),
            containers: count("container "),
            snapshots: count("snapshot "),
            leases: count("lease "),
            bytes: stage.disk()?,
        })
    }

    fn since(&self, before: &Self) -> Self {
        Self {
            tasks: self.tasks.saturating_sub(before.tasks),
            containers: self.containers.saturating_sub(before.containers),
            snapshots: self.snapshots.saturating_sub(before.snapshots),
            leases: self.leases.saturating_sub(before.leases),
            bytes: self.bytes.saturating_sub(before.bytes),
        }
    }
}
