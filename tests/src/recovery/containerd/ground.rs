//! One containerd and one state directory, with a neighbour's container and one of a living owner on it.

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ci_build::failpoint;
use serde_json::Value;
use xtask::containerd::Kind;
use xtask::{command, poll};

use crate::containerd::{IMAGE, Stage, has_cgroup};
use crate::host;

/// What ends by itself in a moment, has ended after this; on a busy machine too.
const PATIENCE: Duration = Duration::from_secs(120);

/// Stands in the words of a run for so many seconds that nobody waits for them, a number of each ground's own.
const LONG: &str = "LONG";

/// Stands in the words of a run for an archive with an image that containerd does not have.
const ARCHIVE: &str = "ARCHIVE";

static GROUNDS: AtomicU32 = AtomicU32::new(0);

/// A containerd, a state, and on it what must stay.
#[derive(Debug)]
pub struct Ground {
    /// The containerd and the state.
    pub stage: Stage,
    archive: String,
    long: String,
    alive: Child,
    staying: BTreeSet<String>,
}

/// A way to be killed.
#[derive(Debug)]
pub struct Scenario {
    /// What people call it.
    pub name: &'static str,
    /// Where it is killed.
    pub places: &'static [&'static str],
    way: Way,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// A run that is killed at a place.
    Run(&'static [&'static str]),
    /// A run that is killed at any moment.
    Anytime,
    /// A recovery of a killed run that is killed at a place.
    Recovery,
    /// A recovery whose removal fails, killed at a place.
    FailingRecovery,
    /// A run one of whose calls to containerd fails.
    FailingCall,
}

const ENDS: &[&str] = &[IMAGE, "true"];
const UNPACKS: &[&str] = &["--archive", ARCHIVE, "--", "true"];
const IS_STOPPED: &[&str] = &["--timeout", "1500ms", "--grace", "500ms", IMAGE, "sleep", LONG];
const RUNS_ON: &[&str] = &[IMAGE, "sleep", LONG];

/// So many calls a run makes at least, one after the other.
const CALLS: u32 = 20;

/// All of them.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "run",
        places: &[
            "run.asked",
            "recover.asked",
            "recover.turn",
            "recover.tidied",
            "recover.listed",
            "recover.chosen",
            "recover.leases",
            "recover.done",
            "run.recovered",
            "run.locked",
            "journal.adding",
            "journal.added",
            "run.intended",
            "containerd.leased",
            "journal.changing",
            "journal.changed",
            "containerd.prepared",
            "containerd.contained",
            "containerd.piped",
            "containerd.tasked",
            "run.started",
            "run.ended",
            "run.removing",
            "containerd.clearing",
            "containerd.task-gone",
            "containerd.processes-gone",
            "containerd.container-gone",
            "containerd.snapshots-gone",
            "containerd.lease-gone",
            "run.removed",
            "journal.forgetting",
            "run.forgotten",
        ],
        way: Way::Run(ENDS),
    },
    Scenario {
        name: "run of an archive",
        places: &[
            "containerd.writing",
            "containerd.written",
            "containerd.unpacking",
            "containerd.applied",
            "containerd.unpacked",
            "containerd.prepared",
            "containerd.snapshots-gone",
        ],
        way: Way::Run(UNPACKS),
    },
    Scenario {
        name: "run that is stopped",
        places: &["run.stopping", "run.stopped", "run.ended", "containerd.clearing"],
        way: Way::Run(IS_STOPPED),
    },
    Scenario { name: "run that goes on", places: &["run.started"], way: Way::Run(RUNS_ON) },
    Scenario { name: "run", places: &["any moment"], way: Way::Anytime },
    Scenario {
        name: "recover",
        places: &[
            "recover.asked",
            "recover.turn",
            "recover.tidied",
            "recover.listed",
            "recover.chosen",
            "recover.removing",
            "containerd.clearing",
            "containerd.task-gone",
            "containerd.processes-gone",
            "containerd.container-gone",
            "containerd.snapshots-gone",
            "containerd.lease-gone",
            "recover.removed",
            "recover.forgetting",
            "recover.forgotten",
            "recover.leases",
            "recover.done",
        ],
        way: Way::Recovery,
    },
    Scenario { name: "recover that fails", places: &["recover.failing"], way: Way::FailingRecovery },
    Scenario { name: "run, the Nth call fails", places: &["1 to 20"], way: Way::FailingCall },
];

impl Scenario {
    /// Plays it once, killed at this place; whether it was.
    ///
    /// # Errors
    /// When something else happens than what is played.
    pub fn play(&self, ground: &Ground, place: &str, time: u32) -> Result<bool> {
        match self.way {
            Way::Run(words) => {
                Ok(is_killed(ground.run(words).env("CI_BUILD_TEST_KILL_AT", known(place)?).status()?))
            }
            Way::Anytime => {
                let mut child = ground.run(ENDS).spawn()?;
                // Spread over the whole of a run, not random: the next time is another moment.
                std::thread::sleep(Duration::from_millis(u64::from(time % 20) * 20));
                let ended = child.try_wait()?.is_some();
                let _ = child.kill();
                child.wait()?;
                Ok(!ended)
            }
            Way::Recovery => {
                ground.leave()?;
                let mut recover = ground.quiet(ground.stage.ours(&["recover"]));
                Ok(is_killed(recover.env("CI_BUILD_TEST_KILL_AT", known(place)?).status()?))
            }
            Way::FailingRecovery => {
                ground.leave()?;
                let mut recover = ground.quiet(ground.stage.ours(&["recover"]));
                // Who it is, its namespaces, the leases, the containers, and then the removal.
                recover.env("CI_BUILD_TEST_FAIL_CALL", "5");
                Ok(is_killed(recover.env("CI_BUILD_TEST_KILL_AT", known(place)?).status()?))
            }
            Way::FailingCall => {
                let call = (time % CALLS + 1).to_string();
                let words = if time % 2 == 0 { IS_STOPPED } else { UNPACKS };
                let status = ground.run(words).env("CI_BUILD_TEST_FAIL_CALL", call).status()?;
                ensure!(!is_killed(status), "nobody killed it");
                Ok(true)
            }
        }
    }
}

/// A place that is in the list, so that nobody waits for one that is not.
fn known(place: &str) -> Result<&str> {
    ensure!(failpoint::ALL.contains(&place), "no such place: {place}");
    Ok(place)
}

fn is_killed(status: ExitStatus) -> bool {
    status.signal() == Some(9)
}

impl Ground {
    /// Starts a containerd and puts on it what must stay: a container of nobody of ours, and one whose owner lives.
    ///
    /// # Errors
    /// When they cannot be started.
    pub fn new(kind: Kind) -> Result<Self> {
        let stage = Stage::new(kind)?;
        let number = GROUNDS.fetch_add(1, Ordering::Relaxed);
        let long = format!("{}", 2_000_000 + u64::from(std::process::id()) * 100 + u64::from(number));
        command::run(stage.ctr().args(["run", "--detach", IMAGE, "neighbour", "sleep", &long]))?;
        let mut alive = stage.run(&["--name", "alive", IMAGE, "sh", "-c", &format!("echo up; sleep {long}")]);
        let mut alive = alive.stdout(Stdio::piped()).spawn().context("cannot run ci-build")?;
        let mut up = [0; 3];
        let mut said = alive.stdout.take().context("no output")?;
        std::io::Read::read_exact(&mut said, &mut up)
            .context("the living owner's container does not start")?;
        let archive = stage.other_archive().display().to_string();
        let staying = stage.there()?;
        Ok(Self { stage, archive, long, alive, staying })
    }

    /// `ci-build run --containerd` with these words, without streams.
    #[must_use]
    pub fn run(&self, words: &[&str]) -> Command {
        let word = |word: &'static str, value: &str| (word, value.to_owned());
        let values = [word(LONG, &self.long), word(ARCHIVE, &self.archive)];
        let words = words.iter().map(|word| {
            values.iter().find(|(stands_for, _)| stands_for == word).map_or(*word, |(_, value)| value)
        });
        self.quiet(self.stage.run(&words.collect::<Vec<_>>()))
    }

    fn quiet(&self, mut command: Command) -> Command {
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// Leaves a running container whose owner is dead.
    fn leave(&self) -> Result<()> {
        let status = self.run(RUNS_ON).env("CI_BUILD_TEST_KILL_AT", "run.started").status()?;
        ensure!(is_killed(status), "the run was not killed");
        Ok(())
    }

    /// Recovers once and tells what is left or lost, a line each; then nothing is.
    ///
    /// # Errors
    /// When containerd does not tell.
    pub fn leftovers(&self) -> Result<Vec<String>> {
        let records = self.stage.records()?;
        let mut left = Vec::new();
        let first = self.stage.recover()?;
        if first["failed"] != Value::Array(vec![]) {
            left.push(format!("recover failed: {}", first["failed"]));
        }
        let there = self.stage.there()?;
        left.extend(there.difference(&self.staying).map(|thing| format!("left: {thing}")));
        left.extend(self.staying.difference(&there).map(|thing| format!("lost: {thing}")));
        let after = self.stage.records()?;
        // The living owner's.
        if after.len() != 1 {
            left.push(format!("records: {after:?}"));
        }
        let gone = records.difference(&after);
        left.extend(
            gone.filter(|record| has_cgroup(record)).map(|record| format!("a control group: {record}")),
        );
        // The neighbour's and the living owner's.
        let sleepers = poll::until(PATIENCE, || Ok(Some(self.sleepers()?).filter(|count| *count == 2)))?;
        if sleepers.is_none() {
            left.push(format!("processes: {}, not 2", self.sleepers()?));
        }
        let second = self.stage.recover()?;
        let is_quiet = second["removed"] == Value::Array(vec![])
            && ["records", "files", "leases"].iter().all(|field| second[*field] == 0);
        if !is_quiet {
            left.push(format!("a second recovery found something: {second}"));
        }
        Ok(left)
    }

    /// The processes in containers of this ground, on the host.
    fn sleepers(&self) -> Result<usize> {
        let line = format!("sleep {} ", self.long);
        Ok(host::processes(&line)?.into_iter().filter(|found| *found == line).count())
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        let _ = self.alive.kill();
        let _ = self.alive.wait();
        let _ = self.stage.recover();
    }
}
