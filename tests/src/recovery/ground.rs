//! One engine and one state directory, with a neighbour's container and one of a living owner on it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ci_build::journal::Journal;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use xtask::client::Client;
use xtask::images::BUSYBOX;
use xtask::{artifacts, command, poll};

use super::scenario::{ENDS, IS_DETACHED};
use super::{killing, moments};
use crate::host;

/// What ends by itself in a moment, has ended after this; on a busy machine too.
pub(super) const PATIENCE: Duration = Duration::from_secs(120);

/// Stands in the words of a run for so many seconds that nobody waits for them, a number of each ground's own.
pub(super) const LONG: &str = "LONG";

/// Stands in the words of a run for the time limit of a container that is to see it.
pub(super) const LIMIT: &str = "LIMIT";

/// What builds of grounds call the frontend, so that nobody else's is taken away.
const FRONTEND: &str = "localhost/recovery/ci-build/frontend:1";

static GROUNDS: AtomicU32 = AtomicU32::new(0);

/// An engine, a state, and on it what must stay.
#[derive(Debug)]
pub struct Ground {
    client: Client,
    program: PathBuf,
    frontend: PathBuf,
    state: TempDir,
    /// A directory with the Dockerfile of a build.
    context: TempDir,
    long: String,
    limit: String,
    neighbour: String,
    alive: Option<Child>,
    /// Containers, volumes and nameless images that must stay.
    staying: BTreeSet<String>,
}

impl Ground {
    /// Puts on an engine what must stay: a container of nobody of ours, and one whose owner lives.
    ///
    /// # Errors
    /// When they cannot be started.
    pub fn new(client: Client, program: PathBuf) -> Result<Self> {
        let mut ground = Self::bare(client, program, &["run", "-d"])?;
        let alive = of(&ground.client, &ground.program, &ground.state)
            .args(["run", "--label", "alive", BUSYBOX, "sleep", &ground.long])
            .stdin(Stdio::null())
            .spawn()
            .context("cannot run ci-build")?;
        ground.alive = Some(alive);
        let alive = poll::until(PATIENCE, || {
            let running = ["ps", "--quiet", "--no-trunc", "--filter", "label=alive"];
            let running = command::output(ground.client.docker().args(running))?;
            Ok(Some(running).filter(|running| !running.trim().is_empty()))
        })?;
        alive.context("the container of the living owner does not start")?;
        ground.staying = ground.there()?;
        Ok(ground)
    }

    /// Puts on an engine that will die the container of a neighbour alone, which does not run.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn without_life(client: Client, program: PathBuf) -> Result<Self> {
        Self::bare(client, program, &["create"])
    }

    fn bare(client: Client, program: PathBuf, make: &[&str]) -> Result<Self> {
        let [state, context] = [TempDir::new(), TempDir::new()];
        let number = GROUNDS.fetch_add(1, Ordering::Relaxed);
        let long = format!("{}", 1_000_000 + u64::from(std::process::id()) * 100 + u64::from(number));
        let mut docker = client.docker();
        docker.args(make).args(["--label", "neighbour", BUSYBOX, "sleep", &long]);
        let neighbour = command::output(&mut docker)?.trim().to_owned();
        let mut ground = Self {
            client,
            program,
            frontend: artifacts::frontend()?,
            state: state.context("cannot create a directory")?,
            context: context.context("cannot create a directory")?,
            long,
            limit: String::new(),
            neighbour,
            alive: None,
            staying: BTreeSet::new(),
        };
        ground.limit = moments::limit(moments::whole(&mut ground.ours(ENDS))?);
        ground.staying = ground.there()?;
        Ok(ground)
    }

    /// `ci-build` with these words.
    #[must_use]
    pub fn ours(&self, words: &[&str]) -> Command {
        let mut command = of(&self.client, &self.program, &self.state);
        command.args(words.iter().map(|word| self.meant(word)));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    fn meant<'a>(&'a self, word: &'a str) -> &'a str {
        match word {
            LONG => &self.long,
            LIMIT => &self.limit,
            word => word,
        }
    }

    /// A job that is nothing but one `ci-build` with these words, and ends with it: what is handed over to it is left then.
    #[must_use]
    pub fn job(&self, words: &[&str]) -> Command {
        let mut job = of(&self.client, Path::new("setsid"), &self.state);
        // The shell is the job, and must not become the command.
        job.args(["--wait", "sh", "-c", "\"$0\" \"$@\"; exit $?"]).arg(&self.program);
        job.args(words.iter().map(|word| self.meant(word)));
        job.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        job
    }

    /// A job that is nothing but one `ci-build build`, of a Dockerfile with this step.
    ///
    /// # Errors
    /// When the Dockerfile cannot be written.
    pub fn build(&self, step: &str) -> Result<Command> {
        let text = format!("FROM {BUSYBOX}\nRUN --mount=type=cache,target=/recovery {step}\n");
        fs::write(self.context.path().join("Dockerfile"), text).context("cannot write a Dockerfile")?;
        let context = self.context.path().display().to_string();
        let mut job = self.job(&["build", "--quiet", "--tag", "recovery:1", &context]);
        job.env("CI_BUILD_FRONTEND_BINARY", &self.frontend).env("CI_BUILD_FRONTEND_NAME", FRONTEND);
        Ok(job)
    }

    /// Kills the `ci-build build` of this ground, where one runs; whether there was one.
    ///
    /// # Errors
    /// When the processes cannot be listed.
    pub fn kill_build(&self) -> Result<bool> {
        let line = format!(
            "{} build --quiet --tag recovery:1 {}",
            self.program.display(),
            self.context.path().display()
        );
        for (pid, found) in host::processes_by_pid(&line)? {
            if found.starts_with(&line)
                && let Some(pid) = Pid::from_raw(pid)
            {
                return Ok(kill_process(pid, Signal::KILL).is_ok());
            }
        }
        Ok(false)
    }

    /// Takes the frontend's image from the engine, so that the next build has to bring it.
    ///
    /// # Errors
    /// When the engine keeps it.
    pub fn forget_frontend(&self) -> Result<()> {
        match command::succeeds(self.client.docker().args(["image", "inspect", FRONTEND]))? {
            true => command::run(self.client.docker().args(["rmi", "--force", FRONTEND])),
            false => Ok(()),
        }
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

    /// What talks to the engine.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The state directory.
    #[must_use]
    pub fn state(&self) -> &Path {
        self.state.path()
    }

    /// Leaves a running container whose owner is dead.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn leave(&self) -> Result<()> {
        ensure!(killing::at("run.ended", &mut self.ours(IS_DETACHED))?, "the run was not killed");
        Ok(())
    }

    /// What the journal says that is not so, a line each: a container of ours that no record is about, a failure without
    /// a reason.
    ///
    /// # Errors
    /// When the engine or the journal does not tell.
    pub fn lies(&self) -> Result<Vec<String>> {
        let journal = Journal::open_in(self.state.path())?;
        let names: BTreeSet<String> = journal.list()?.into_iter().map(|found| found.name).collect();
        let format = "{{.Label \"ci-build.run\"}}";
        let labelled = ["ps", "--all", "--filter", "label=ci-build.run", "--format", format];
        let labelled = command::output(self.client.docker().args(labelled))?;
        let unknown = labelled.lines().filter(|name| !names.contains(*name));
        let mut lies: Vec<String> = unknown.map(|name| format!("no record of {name}")).collect();
        lies.extend(unexplained(&journal)?);
        Ok(lies)
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
        let there = self.settled()?;
        left.extend(there.difference(&self.staying).map(|id| format!("left: {id}")));
        left.extend(self.staying.difference(&there).map(|id| format!("lost: {id}")));
        // The living owner's.
        if self.records()? != self.alive() {
            left.push(format!("records: {:?}", self.files("journal")?));
        }
        left.extend(self.scratch()?.into_iter().map(|name| format!("file: {name}")));
        // The neighbour's and the living owner's.
        let staying = 2 * self.alive();
        let sleepers = poll::until(PATIENCE, || Ok((self.sleepers()? == staying).then_some(())))?;
        if sleepers.is_none() {
            left.push(format!("processes: {}, not {staying}", self.sleepers()?));
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
        if held("holders") != self.alive() || held("leases") > self.alive() {
            left.push(format!("locks or leases: {status}"));
        }
        if status["failures"] != Value::Array(vec![]) {
            left.push(format!("failures: {status}"));
        }
        Ok(left)
    }

    fn recover(&self) -> Command {
        let mut recover = of(&self.client, &self.program, &self.state);
        recover.args(["recover", "--format", "json"]);
        recover
    }

    /// Waits until no docker or buildx of a killed command is at work that could still make something. A docker that is
    /// attached to a running container makes none any more.
    fn docker_has_ended(&self) -> Result<()> {
        let ended = poll::until(PATIENCE, || {
            let running = ["ps", "--quiet", "--filter", "label=ci-build.run"];
            let attached = command::output(self.client.docker().args(running))?.lines().count();
            let builds = host::processes(&self.context.path().display().to_string())?;
            Ok((self.dockers()? <= attached && builds.is_empty()).then_some(()))
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

    /// What there is when what is being removed has gone: the engine's lists lag behind a removal.
    fn settled(&self) -> Result<BTreeSet<String>> {
        const PATIENCE: Duration = Duration::from_secs(20);
        let settled =
            poll::until(PATIENCE, || Ok(Some(self.there()?).filter(|there| *there == self.staying)))?;
        settled.map_or_else(|| self.there(), Ok)
    }

    /// All containers, volumes and nameless images of the engine.
    fn there(&self) -> Result<BTreeSet<String>> {
        let containers =
            command::output(self.client.docker().args(["ps", "--all", "--quiet", "--no-trunc"]))?;
        let volumes = command::output(self.client.docker().args(["volume", "ls", "--quiet"]))?;
        let images = ["images", "--quiet", "--no-trunc", "--filter", "dangling=true"];
        let images = command::output(self.client.docker().args(images))?;
        let all = [("container", containers), ("volume", volumes), ("image", images)];
        let named =
            |(kind, text): &(&str, String)| text.lines().map(|id| format!("{kind} {id}")).collect::<Vec<_>>();
        Ok(all.iter().flat_map(named).collect())
    }

    /// How many records the journal has.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub fn records(&self) -> Result<usize> {
        Ok(self.files("journal")?.len())
    }

    /// The files of a room of the state directory, without the two that are always there.
    fn files(&self, room: &str) -> Result<Vec<String>> {
        let entries = fs::read_dir(self.state.path().join(room)).context("no journal")?;
        let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
        let names = names.collect::<Result<Vec<_>>>()?;
        Ok(names.into_iter().filter(|name| !matches!(name.as_str(), ".writing" | ".turn")).collect())
    }

    /// Files of builds, in all stores.
    fn scratch(&self) -> Result<Vec<String>> {
        let mut left = Vec::new();
        let Ok(stores) = fs::read_dir(self.state.path().join("stores")) else { return Ok(left) };
        for store in stores {
            let Ok(entries) = fs::read_dir(store?.path().join("scratch")) else { continue };
            let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
            left.extend(names.collect::<Result<Vec<_>>>()?.into_iter().filter(|name| !name.starts_with('.')));
        }
        Ok(left)
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        if let Some(alive) = &mut self.alive {
            let _ = alive.kill();
            let _ = alive.wait();
        }
        let _ = self.recover().output();
        let _ = command::run(self.client.docker().args(["rm", "--force", &self.neighbour]));
        for image in [FRONTEND, "recovery:1"] {
            let _ = command::succeeds(self.client.docker().args(["rmi", "--force", image]));
        }
    }
}

/// The failures in a journal that nobody could explain, a line each.
///
/// # Errors
/// When the journal does not tell.
pub(super) fn unexplained(journal: &Journal) -> Result<Vec<String>> {
    let mut lies = Vec::new();
    for record in journal.failures()? {
        let reason = record.failure.map(|failure| failure.reason).unwrap_or_default();
        if reason.trim().is_empty() {
            lies.push(format!("a failure without a reason: {}", record.command));
        }
    }
    Ok(lies)
}

/// A program that is or calls `ci-build`, with this ground's state, and with no settings of whoever runs us.
fn of(client: &Client, program: &Path, state: &TempDir) -> Command {
    let mut command = client.set_up(Command::new(program));
    command.env("CI_BUILD_STATE_DIR", state.path());
    for variable in
        ["STORE", "WAIT", "TIMEOUT", "GRACE", "NO_RECOVER", "POLICY", "SCOPE", "FRONTEND", "FRONTEND_NAME"]
    {
        command.env_remove(format!("CI_BUILD_{variable}"));
    }
    command
}
