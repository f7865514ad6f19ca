//! One containerd and one state directory, with a neighbour's container and one of a living owner on it.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ci_build::journal::Journal;
use serde_json::Value;
use xtask::containerd::Kind;
use xtask::{command, poll};

use super::super::ground::unexplained;
use super::super::{killing, moments};
use super::scenario::RUNS_ON;
use crate::containerd::{IMAGE, Stage, has_cgroup};
use crate::host;

/// What ends by itself in a moment, has ended after this; on a busy machine too.
pub(super) const PATIENCE: Duration = Duration::from_secs(120);

/// Stands in the words of a run for so many seconds that nobody waits for them, a number of each ground's own.
pub(super) const LONG: &str = "LONG";

/// Stands in the words of a run for the time limit of a container that is to see it.
pub(super) const LIMIT: &str = "LIMIT";

/// Stands in the words of a run for an archive with an image that containerd does not have.
pub(super) const ARCHIVE: &str = "ARCHIVE";

static GROUNDS: AtomicU32 = AtomicU32::new(0);

/// A containerd, a state, and on it what must stay.
#[derive(Debug)]
pub struct Ground {
    /// The containerd and the state.
    pub stage: Stage,
    archive: String,
    long: String,
    limit: String,
    alive: Option<Child>,
    staying: BTreeSet<String>,
}

impl Ground {
    /// Starts a containerd and puts on it what must stay: a container of nobody of ours, and one whose owner lives.
    ///
    /// # Errors
    /// When they cannot be started.
    pub fn new(kind: Kind) -> Result<Self> {
        let mut ground = Self::without_life(kind)?;
        let script = format!("echo up; sleep {}", ground.long);
        let mut alive = ground.stage.run(&["--name", "alive", IMAGE, "sh", "-c", &script]);
        let mut alive = alive.stdout(Stdio::piped()).spawn().context("cannot run ci-build")?;
        let said = alive.stdout.take().context("no output")?;
        ground.alive = Some(alive);
        let mut up = String::new();
        said.take(3).read_to_string(&mut up)?;
        ensure!(up == "up\n", "the container of the living owner does not start");
        ground.staying = ground.stage.there()?;
        Ok(ground)
    }

    /// The same for a containerd that will be gone for longer than an owner waits for it: with the container of nobody of ours alone.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn without_life(kind: Kind) -> Result<Self> {
        let stage = Stage::new(kind)?;
        let number = GROUNDS.fetch_add(1, Ordering::Relaxed);
        let long = format!("{}", 2_000_000 + u64::from(std::process::id()) * 100 + u64::from(number));
        command::run(stage.ctr().args(["run", "--detach", IMAGE, "neighbour", "sleep", &long]))?;
        let archive = stage.other_archive().display().to_string();
        let limit = moments::limit(moments::whole(&mut stage.run(&[IMAGE, "true"]))?);
        let staying = stage.there()?;
        Ok(Self { stage, archive, long, limit, alive: None, staying })
    }

    /// `ci-build run --containerd` with these words, without streams.
    #[must_use]
    pub fn run(&self, words: &[&str]) -> Command {
        let word = |word: &'static str, value: &str| (word, value.to_owned());
        let values = [word(LONG, &self.long), word(LIMIT, &self.limit), word(ARCHIVE, &self.archive)];
        let words = words.iter().map(|word| {
            values.iter().find(|(stands_for, _)| stands_for == word).map_or(*word, |(_, value)| value)
        });
        self.quiet(self.stage.run(&words.collect::<Vec<_>>()))
    }

    /// How long its containers sleep, which nobody else's do.
    #[must_use]
    pub fn long(&self) -> &str {
        &self.long
    }

    /// How many living owners there are.
    #[must_use]
    pub fn alive(&self) -> usize {
        usize::from(self.alive.is_some())
    }

    /// A command without streams.
    #[must_use]
    pub fn quiet(&self, mut command: Command) -> Command {
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// Leaves a running container whose owner is dead.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn leave(&self) -> Result<()> {
        ensure!(killing::at("run.started", &mut self.run(RUNS_ON))?, "the run was not killed");
        Ok(())
    }

    /// What the journal says that is not so, a line each: something of ours that no record is about, a failure without a
    /// reason.
    ///
    /// # Errors
    /// When containerd or the journal does not tell.
    pub fn lies(&self) -> Result<Vec<String>> {
        let journal = Journal::open_in(&self.stage.state())?;
        let names: BTreeSet<String> = journal.list()?.into_iter().map(|found| found.name).collect();
        let there = self.stage.there()?;
        let ours = there.difference(&self.staying).filter_map(|thing| Some((thing, run_of(thing)?)));
        let unknown = ours.filter(|(_, run)| !names.contains(*run));
        let mut lies: Vec<String> = unknown.map(|(thing, _)| format!("no record of {thing}")).collect();
        lies.extend(unexplained(&journal)?);
        Ok(lies)
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
        if after.len() != self.alive() {
            left.push(format!("records: {after:?}"));
        }
        let gone = records.difference(&after);
        left.extend(
            gone.filter(|record| has_cgroup(record)).map(|record| format!("a control group: {record}")),
        );
        // The neighbour's and the living owner's.
        let staying = 1 + self.alive();
        let sleepers = poll::until(PATIENCE, || Ok((self.sleepers()? == staying).then_some(())))?;
        if sleepers.is_none() {
            left.push(format!("processes: {}, not {staying}", self.sleepers()?));
        }
        // One that has no container any more ends by itself.
        let shims = poll::until(PATIENCE, || Ok((self.stage.shims("")?.len() == staying).then_some(())))?;
        if shims.is_none() {
            left.push(format!("shims: {}, not {staying}", self.stage.shims("")?.len()));
        }
        let second = self.stage.recover()?;
        let is_quiet = second["removed"] == Value::Array(vec![])
            && ["records", "files", "leases"].iter().all(|field| second[*field] == 0);
        if !is_quiet {
            left.push(format!("a second recovery found something: {second}"));
        }
        left.extend(self.held()?);
        Ok(left)
    }

    /// Locks and leases that are held though nobody lives to hold them, and failures that are kept though all is gone.
    fn held(&self) -> Result<Option<String>> {
        let status = command::output(&mut self.stage.ours(&["status", "--format", "json"]))?;
        let status: Value = serde_json::from_str(&status).context("no status")?;
        let stores = || status["stores"].as_array().into_iter().flatten();
        let count =
            |what: &str| stores().map(|store| store[what].as_array().map_or(0, Vec::len)).sum::<usize>();
        let is_well = count("holders") == self.alive()
            && count("leases") == 0
            && status["failures"] == Value::Array(vec![]);
        Ok((!is_well).then(|| format!("locks, leases or failures: {status}")))
    }

    /// The processes in containers of this ground, on the host.
    ///
    /// # Errors
    /// When the processes cannot be listed.
    pub fn sleepers(&self) -> Result<usize> {
        let line = format!("sleep {} ", self.long);
        Ok(host::processes(&line)?.into_iter().filter(|found| *found == line).count())
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        if let Some(alive) = &mut self.alive {
            let _ = alive.kill();
            let _ = alive.wait();
        }
        let _ = self.stage.recover();
    }
}

/// The name of the record that something is of, where it is ours: `container ci-build-0123…`.
fn run_of(thing: &str) -> Option<&str> {
    thing.split_once(" ci-build-")?.1.get(..16)
}
