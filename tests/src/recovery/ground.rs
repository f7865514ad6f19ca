//! One engine and one state directory, with a neighbour's container and one of a living owner on it.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ci_build::failpoint;
use serde_json::Value;
use tempfile::TempDir;
use xtask::client::Client;
use xtask::images::BUSYBOX;
use xtask::{command, poll};

use crate::host;

/// What ends by itself in a moment, has ended after this; on a busy machine too.
const PATIENCE: Duration = Duration::from_secs(120);

/// Stands in the words of a run for so many seconds that nobody waits for them, a number of each ground's own.
const LONG: &str = "LONG";

static GROUNDS: AtomicU32 = AtomicU32::new(0);

/// An engine, a state, and on it what must stay.
#[derive(Debug)]
pub struct Ground {
    client: Client,
    program: PathBuf,
    state: TempDir,
    long: String,
    neighbour: String,
    alive: Child,
    /// Containers and volumes that must stay.
    staying: BTreeSet<String>,
}

/// A way to be killed.
#[derive(Debug)]
pub struct Scenario {
    /// What people call it.
    pub name: &'static str,
    places: &'static [&'static str],
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
    /// A run one of whose calls to the engine fails.
    FailingCall,
}

const ENDS: &[&str] = &["run", "-v", "/anonymous", BUSYBOX, "true"];
const IS_STOPPED: &[&str] =
    &["run", "--timeout", "500ms", "--grace", "1s", "--sig-proxy=false", BUSYBOX, "sleep", LONG];
const IS_DETACHED: &[&str] = &["run", "-d", "-v", "/anonymous", BUSYBOX, "sleep", LONG];

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
            "run.leased",
            "journal.adding",
            "journal.added",
            "run.intended",
            "run.started",
            "run.ended",
            "run.found",
            "journal.forgetting",
        ],
        way: Way::Run(ENDS),
    },
    Scenario {
        name: "run that is stopped",
        places: &[
            "run.ended",
            "run.found",
            "journal.changing",
            "journal.changed",
            "run.stopping",
            "run.stopped",
            "run.removing",
            "run.removed",
            "journal.forgetting",
            "run.forgotten",
        ],
        way: Way::Run(IS_STOPPED),
    },
    Scenario {
        name: "detached run",
        places: &["run.ended", "run.found", "journal.changed", "run.handing-over"],
        way: Way::Run(IS_DETACHED),
    },
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
            "recover.removed",
            "recover.forgetting",
            "recover.forgotten",
            "recover.leases",
            "recover.done",
        ],
        way: Way::Recovery,
    },
    Scenario { name: "recover that fails", places: &["recover.failing"], way: Way::FailingRecovery },
    Scenario { name: "run, the Nth call fails", places: &["1 to 8"], way: Way::FailingCall },
];

impl Scenario {
    /// Where it is killed.
    #[must_use]
    pub fn places(&self) -> Vec<String> {
        self.places.iter().map(|place| (*place).to_owned()).collect()
    }

    /// How often it is to be played to have come to each of its moments once.
    #[must_use]
    pub fn moments(&self) -> u32 {
        match self.way {
            Way::Run(_) | Way::Recovery | Way::FailingRecovery => 1,
            Way::Anytime => 20,
            Way::FailingCall => 6,
        }
    }

    /// Plays it once, killed at this place; whether it was.
    ///
    /// # Errors
    /// When something else happens than what is played.
    pub fn play(&self, ground: &Ground, place: &str, time: u32) -> Result<bool> {
        match self.way {
            Way::Run(words) => {
                let status = ground.ours(words).env("CI_BUILD_TEST_KILL_AT", known(place)?).status()?;
                Ok(is_killed(status))
            }
            Way::Anytime => {
                let mut child = ground.ours(ENDS).spawn()?;
                // Spread over the whole of a run, not random: the next time is another moment.
                std::thread::sleep(Duration::from_millis(u64::from(time % self.moments()) * 60));
                let ended = child.try_wait()?.is_some();
                let _ = child.kill();
                child.wait()?;
                Ok(!ended)
            }
            Way::Recovery => {
                ground.leave()?;
                let status =
                    ground.ours(&["recover"]).env("CI_BUILD_TEST_KILL_AT", known(place)?).status()?;
                Ok(is_killed(status))
            }
            Way::FailingRecovery => {
                ground.leave()?;
                // The list, the image's labels, the sizes, and then the removal.
                let mut recover = ground.ours(&["recover"]);
                let status = recover
                    .env("CI_BUILD_TEST_FAIL_CALL", "4")
                    .env("CI_BUILD_TEST_KILL_AT", known(place)?)
                    .status()?;
                Ok(is_killed(status))
            }
            Way::FailingCall => {
                let call = (time % self.moments() + 1).to_string();
                let status = ground.ours(IS_STOPPED).env("CI_BUILD_TEST_FAIL_CALL", call).status()?;
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
    /// Puts on an engine what must stay: a container of nobody of ours, and one whose owner lives.
    ///
    /// # Errors
    /// When they cannot be started.
    pub fn new(client: Client, program: PathBuf) -> Result<Self> {
        let state = TempDir::new().context("cannot create a directory")?;
        let number = GROUNDS.fetch_add(1, Ordering::Relaxed);
        let long = format!("{}", 1_000_000 + u64::from(std::process::id()) * 100 + u64::from(number));
        let run = ["run", "-d", "--label", "neighbour", BUSYBOX, "sleep", &long];
        let neighbour = command::output(client.docker().args(run))?.trim().to_owned();
        let alive = of(&client, &program, &state)
            .args(["run", "--label", "alive", BUSYBOX, "sleep", &long])
            .stdin(Stdio::null())
            .spawn()
            .context("cannot run ci-build")?;
        let mut ground = Self { client, program, state, long, neighbour, alive, staying: BTreeSet::new() };
        let alive = poll::until(PATIENCE, || {
            let running = ["ps", "--quiet", "--no-trunc", "--filter", "label=alive"];
            let running = command::output(ground.client.docker().args(running))?;
            Ok(Some(running).filter(|running| !running.trim().is_empty()))
        })?;
        alive.context("the container of the living owner does not start")?;
        ground.staying = ground.there()?;
        Ok(ground)
    }

    /// `ci-build` with these words.
    #[must_use]
    pub fn ours(&self, words: &[&str]) -> Command {
        let mut command = of(&self.client, &self.program, &self.state);
        command.args(words.iter().map(|word| if *word == LONG { &self.long } else { *word }));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// Leaves a running container whose owner is dead.
    fn leave(&self) -> Result<()> {
        let status = self.ours(IS_DETACHED).env("CI_BUILD_TEST_KILL_AT", "run.ended").status()?;
        ensure!(is_killed(status), "the run was not killed");
        Ok(())
    }

    /// Recovers once and tells what is left or lost, a line each; then nothing is.
    ///
    /// # Errors
    /// When the engine does not tell.
    pub fn leftovers(&self) -> Result<Vec<String>> {
        // docker may be about to make a container for a killed run: only then is a recovery to be held to anything.
        self.docker_has_ended()?;
        let mut recover = self.recover();
        let first = recover.output().context("cannot run ci-build recover")?;
        let mut left = Vec::new();
        if !first.status.success() {
            left.push(format!(
                "recover ended {}: {}",
                first.status,
                String::from_utf8_lossy(&first.stderr).trim()
            ));
        }
        let there = self.there()?;
        left.extend(there.difference(&self.staying).map(|id| format!("left: {id}")));
        left.extend(self.staying.difference(&there).map(|id| format!("lost: {id}")));
        let records = self.files("journal")?;
        // The living owner's.
        if records.len() != 1 {
            left.push(format!("records: {records:?}"));
        }
        // The neighbour's and the living owner's.
        let sleepers = poll::until(PATIENCE, || Ok(Some(self.sleepers()?).filter(|count| *count == 2)))?;
        if sleepers.is_none() {
            left.push(format!("processes: {}, not 2", self.sleepers()?));
        }
        let second: Value = serde_json::from_slice(&self.recover().output()?.stdout).context("no report")?;
        let is_quiet = second["removed"] == Value::Array(vec![])
            && ["records", "files", "leases"].iter().all(|field| second[*field] == 0);
        if !is_quiet {
            left.push(format!("a second recovery found something: {second}"));
        }
        let status = command::output(
            of(&self.client, &self.program, &self.state).args(["status", "--format", "json"]),
        )?;
        let status: Value = serde_json::from_str(&status).context("no status")?;
        let held = |what: &str| {
            let stores = status["stores"].as_array().into_iter().flatten();
            stores.map(|store| store[what].as_array().map_or(0, Vec::len)).sum::<usize>()
        };
        if held("holders") != 1 || held("leases") > 1 {
            left.push(format!("locks or leases: {status}"));
        }
        Ok(left)
    }

    fn recover(&self) -> Command {
        let mut recover = of(&self.client, &self.program, &self.state);
        recover.args(["recover", "--format", "json"]);
        recover
    }

    /// Waits until no docker of a killed run is at work that could still make a container. One that is attached to a running
    /// container makes none any more.
    fn docker_has_ended(&self) -> Result<()> {
        let ended = poll::until(PATIENCE, || {
            let running = ["ps", "--quiet", "--filter", "label=ci-build.run"];
            let attached = command::output(self.client.docker().args(running))?.lines().count();
            Ok((self.dockers()? <= attached).then_some(()))
        })?;
        ended.context("the docker of a killed run does not end")
    }

    /// How many `docker run` of ours there are.
    fn dockers(&self) -> Result<usize> {
        let state = self.state.path().display().to_string();
        let mut count = 0;
        for entry in fs::read_dir("/proc")? {
            let process = entry?.path();
            // A process may end while we look.
            let [line, environment] =
                ["cmdline", "environ"].map(|file| fs::read(process.join(file)).unwrap_or_default());
            let [line, environment] =
                [line, environment].map(|text| String::from_utf8_lossy(&text).replace('\0', " "));
            count += usize::from(
                line.contains("docker run --label ci-build.owner") && environment.contains(&state),
            );
        }
        Ok(count)
    }

    /// The processes in containers of this ground, on the host.
    fn sleepers(&self) -> Result<usize> {
        let line = format!("sleep {} ", self.long);
        Ok(host::processes(&line)?.into_iter().filter(|found| *found == line).count())
    }

    /// All containers and volumes of the engine.
    fn there(&self) -> Result<BTreeSet<String>> {
        let containers =
            command::output(self.client.docker().args(["ps", "--all", "--quiet", "--no-trunc"]))?;
        let volumes = command::output(self.client.docker().args(["volume", "ls", "--quiet"]))?;
        let named = |kind: &'static str, text: &str| -> Vec<String> {
            text.lines().map(|id| format!("{kind} {id}")).collect()
        };
        Ok([named("container", &containers), named("volume", &volumes)].concat().into_iter().collect())
    }

    /// The files of a room of the state directory, without the two that are always there.
    fn files(&self, room: &str) -> Result<Vec<String>> {
        let entries = fs::read_dir(self.state.path().join(room)).context("no journal")?;
        let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
        let names = names.collect::<Result<Vec<_>>>()?;
        Ok(names.into_iter().filter(|name| !matches!(name.as_str(), ".writing" | ".turn")).collect())
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        let _ = self.alive.kill();
        let _ = self.alive.wait();
        let _ = self.recover().output();
        let _ = command::run(self.client.docker().args(["rm", "--force", &self.neighbour]));
    }
}

/// `ci-build` with this ground's state, and with no settings of whoever runs us.
fn of(client: &Client, program: &std::path::Path, state: &TempDir) -> Command {
    let mut command = client.set_up(Command::new(program));
    command.env("CI_BUILD_STATE_DIR", state.path());
    for variable in ["STORE", "WAIT", "TIMEOUT", "GRACE", "NO_RECOVER"] {
        command.env_remove(format!("CI_BUILD_{variable}"));
    }
    command
}
