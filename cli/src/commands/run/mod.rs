//! `ci-build run`.

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use jiff::Timestamp;
use tokio::runtime::Runtime;
use tracing::field::Empty;

use super::store::DockerStore;
use super::{build, duration, event_loop, flags_of, lock, recover, tell_why};
use crate::build::words::OurFlag;
use crate::engine::{self, Deletion, Engine, OWNER_LABEL, OwnedContainer};
use crate::error::{Blame, Explain, Failure, with_cause};
use crate::failpoint;
use crate::journal::{Entry, Intended, JOB_LABEL, Journal, Owner, RUN_LABEL, Record};
use crate::process::survivors::Inmates;
use crate::process::{self, Ended, Limits, Vigil};
use crate::recover::Here;
use crate::run::unstarted;
use crate::run::words::{self, Asked, part};
use crate::store::{Guard as _, HeldLease, Lease, Leases, Patience, Process, Quiet, Store, Term, job};
use crate::switch;

pub(super) mod containerd;

/// As the command line has it.
pub(super) const NAME: &str = "run";

const EXAMPLES: &str = "\
Examples:
  ci-build run debian:12 make test
  ci-build run --timeout 10m -it -v \"$PWD:/src\" -w /src golang:1.25 go test ./...
  ci-build run -d --name db postgres:17

All other arguments are those of `docker run`: ours stand before the image. `ci-build run -- --help` shows docker's help,
`ci-build run --containerd --help` that of runs on a containerd without docker.

The container and its anonymous volumes go with this command, however it ends. With -d the container goes with the CI job:
`ci-build recover`, or the next build or run, removes it then.

Exit codes: the container's (125 to 127 as docker has them, 128 + n for signal n), 75 gave up waiting for the
lock, 2 wrong usage, 125 our own failure";

/// Run a container as docker run does, which leaves nothing however it ends
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, override_usage = "ci-build run [OPTIONS] [DOCKER ARGUMENTS]… IMAGE [COMMAND]…")]
#[command(args_conflicts_with_subcommands = true, disable_help_subcommand = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    other: Option<Other>,
    /// How long it may run; then it is ended [default: as long as it takes]
    #[arg(long, value_name = "TIME", env = "CI_BUILD_TIMEOUT", value_parser = duration::parse)]
    timeout: Option<Duration>,
    /// How long it may take to end, before it is killed
    #[arg(long, value_name = "TIME", env = "CI_BUILD_GRACE", default_value = "10s", value_parser = duration::parse)]
    grace: Duration,
    /// Do not look first for what killed commands left
    #[arg(long, env = "CI_BUILD_NO_RECOVER", value_parser = switch::parse)]
    no_recover: bool,
    /// How long to wait for the lock; 0 is not at all
    #[arg(long, value_name = "TIME", env = "CI_BUILD_WAIT", default_value = "1h", value_parser = duration::parse)]
    wait: Duration,
    #[command(flatten)]
    store: DockerStore,
    /// What docker run gets
    #[arg(last = true, hide = true)]
    words: Vec<OsString>,
}

/// Where else than on docker's engine.
#[derive(Debug, Subcommand)]
enum Other {
    #[command(long_flag = "containerd")]
    Containerd(Box<containerd::Arguments>),
}

/// A container cannot be owned by nobody.
#[derive(Debug, thiserror::Error)]
#[error("cannot tell who this process is, so nobody could tell later whose the container was")]
struct Nobody;

impl Explain for Nobody {
    fn blame(&self) -> Blame {
        Blame::Surroundings
    }
    fn help(&self) -> Vec<String> {
        vec!["/proc has to be there, and to show this process".into()]
    }
}

/// The word that leads away from docker. It is no flag of clap's, but a command in a flag's clothes.
const CONTAINERD: &str = "--containerd";

/// The command line with our flags in front and all others behind `--`, where it is a run's. So clap reads ours alone. On a
/// containerd all are ours: then only the word for that goes to the front.
pub(super) fn arrange(mut words: Vec<OsString>) -> Vec<OsString> {
    if words.get(1).is_none_or(|command| command != NAME) {
        return words;
    }
    let mut flags = flags_of(NAME);
    flags.push(OurFlag { name: CONTAINERD.trim_start_matches('-').into(), has_value: false });
    let (mut ours, mut theirs) = part(&words[2..], &flags);
    if ours.iter().any(|word| word == CONTAINERD) {
        let at = words.iter().position(|word| word == CONTAINERD).unwrap_or(words.len() - 1);
        words[2..=at].rotate_right(1);
        return words;
    }
    words.truncate(2);
    words.append(&mut ours);
    words.push("--".into());
    words.append(&mut theirs);
    words
}

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    match &arguments.other {
        Some(Other::Containerd(arguments)) => containerd::run(arguments),
        None => on_docker(arguments),
    }
}

fn on_docker(arguments: &Arguments) -> Result<ExitCode, Failure> {
    failpoint::reach("run.asked");
    // First of all: the later one looks, the likelier is it that nobody is left who wanted the run.
    let limits = arguments.limits();
    let vigil = Vigil::keep(limits.owner, "docker run")?;
    let asked = Asked::read(&arguments.words);
    let shown = format!("docker run {}", words::shown(&arguments.words));
    let journal = Journal::open()?;
    let events = event_loop()?;
    let (engine, place) = events.block_on(recover::here())?;
    if !arguments.no_recover {
        let here = Here::Docker { engine: &engine, place: &place };
        events.block_on(recover::first(&journal, here, recover::FIRST));
    }
    failpoint::reach("run.recovered");

    let identity = arguments.store.name().cloned().unwrap_or_else(|| place.store());
    let store = Store::open(identity)?;
    let (patience, started) = (Patience { wait: arguments.wait, polite: Duration::ZERO }, Instant::now());
    let guard = store.share(&shown, patience, |notice| lock::tell(store.identity(), notice, started))?;
    guard.pass_on()?;
    failpoint::reach("run.locked");
    let leases = store.leases()?;
    let lease = lease(&events, &engine, &asked, &store, &leases, arguments.wait)?;
    failpoint::reach("run.leased");

    let owner = Owner::this().ok_or(Nobody)?;
    let entry = journal.intend(Record::new(place, owner.clone(), &shown))?;
    failpoint::reach("run.intended");
    let ended = super::ended_in(tracing::info_span!("run", exit_code = Empty, outcome = Empty), || {
        let mut command = command(arguments, &asked, &owner, entry.name())?;
        drop(vigil);
        unstarted::beside(&events, &engine, entry.name(), || process::run_within(&mut command, limits))
    });
    failpoint::reach("run.ended");
    // From here on the container speaks for its image, where there is one.
    drop(lease);
    let settle =
        |ended, entry| Aftermath { arguments, events: &events, engine: &engine, ended }.settle(entry);
    match ended {
        Ok(ended) => {
            tell_why(ended.stopped, arguments.timeout, "the container", "ran for");
            settle(ended, entry)?;
            Ok(ExitCode::from(ended.code))
        }
        Err(error) => {
            // A docker that ran may have made the container.
            if error.has_started() {
                settle(LOST, entry)?;
            } else {
                entry.never_made()?;
            }
            Err(error.into())
        }
    }
}

/// How a docker ends that nobody can watch any more.
const LOST: Ended = Ended { code: 125, stopped: None };

/// `docker run` with the user's words, and with ours in front, so that theirs count.
fn command(
    arguments: &Arguments,
    asked: &Asked,
    owner: &Owner,
    run: &str,
) -> Result<std::process::Command, process::Error> {
    let mut command = process::bound("docker".as_ref())?;
    command.arg("run");
    let job = job::process().map(Owner::of);
    let labels = [(OWNER_LABEL, Some(owner.to_string())), (RUN_LABEL, Some(run.to_owned()))];
    for (label, value) in labels.into_iter().chain([(JOB_LABEL, job.map(|job| job.to_string()))]) {
        if let Some(value) = value {
            command.arg("--label").arg(format!("{label}={value}"));
        }
    }
    if asked.may_be_removed {
        // The engine's own removal runs while docker waits for it, and goes on should all of us be killed.
        command.arg("--rm");
    }
    command.args(&arguments.words);
    failpoint::reach("run.started");
    Ok(command)
}

/// Leases the image until its container is there, where the engine has it already. Who pulls it gets it with the container.
fn lease<'a>(
    events: &Runtime,
    engine: &Engine,
    asked: &Asked,
    store: &Store,
    leases: &'a Leases,
    wait: Duration,
) -> Result<Option<HeldLease<'a>>, Failure> {
    let (Some(image), Some(us)) = (&asked.image, Process::this()) else { return Ok(None) };
    // From the look at the engine until the lease is there nobody deletes an image.
    let _quiet = Quiet::for_addition(leases, wait)?;
    let Ok(Some(id)) = events.block_on(engine.image_id(image)) else { return Ok(None) };
    let lease = Lease::new(store.identity(), image.clone(), id, Term::Owner(us));
    Ok(Some(leases.hold(&lease)?))
}

impl Arguments {
    fn limits(&self) -> Limits {
        let timeout = self.timeout.filter(|limit| !limit.is_zero());
        Limits { timeout, grace: Some(self.grace), owner: build::owner() }
    }
}

/// docker has ended; what did it leave?
struct Aftermath<'a> {
    arguments: &'a Arguments,
    events: &'a Runtime,
    engine: &'a Engine,
    ended: Ended,
}

impl Aftermath<'_> {
    /// Removes the container, or hands it over to the job where it is to run on.
    fn settle(&self, entry: Entry<'_, Intended>) -> Result<(), Failure> {
        let found = self.events.block_on(async {
            let found = self.engine.labelled(RUN_LABEL, Some(entry.name()), false).await?;
            let Some(container) = found.into_iter().next() else { return Ok(None) };
            let runs = self.engine.runs(&container.id).await?;
            Ok::<_, engine::Error>(Some((container, runs)))
        });
        failpoint::reach("run.found");
        let container = match found {
            Ok(found) => found,
            Err(error) => {
                left(&with_cause(&error));
                return Ok(());
            }
        };
        match container {
            None => {
                self.kill_survivors(entry.name(), entry.since());
                Ok(entry.never_made()?)
            }
            Some((container, true)) => self.running(entry, &container),
            Some((container, false)) => {
                self.remove(entry.created(container.id.clone()).removing(), &container.id)
            }
        }
    }

    fn running(&self, entry: Entry<'_, Intended>, container: &OwnedContainer) -> Result<(), Failure> {
        let Ended { code, stopped } = self.ended;
        let mut entry = entry.created(container.id.clone()).running();
        let job = job::process().filter(|_| code == 0 && stopped.is_none());
        if let Some(job) = job {
            // docker came back without an end: the container is detached.
            failpoint::reach("run.handing-over");
            match entry.hand_over(Owner::of(job)) {
                Ok(()) => {
                    failpoint::reach("run.handed-over");
                    return Ok(());
                }
                Err(refused) => {
                    let (kept, error) = *refused;
                    Failure::from(error).warn("the container cannot be the job's, and ends now");
                    entry = kept;
                }
            }
        }
        failpoint::reach("run.stopping");
        // Who had its time to end and did not use it gets no more.
        let grace = if code == 137 { Duration::ZERO } else { self.arguments.grace };
        if let Err(error) = self.events.block_on(self.engine.stop(&container.id, grace)) {
            anstream::eprintln!("warning: {}", with_cause(&error));
        }
        failpoint::reach("run.stopped");
        self.remove(entry.removing(), &container.id)
    }

    /// The container is gone. Unless it ended well, its shim may have been killed, and its processes run on.
    fn kill_survivors(&self, run: &str, since: Timestamp) {
        if self.ended.code == 0 {
            return;
        }
        // What the engine does not remember is nobody's to find.
        let told = self.events.block_on(self.engine.containers_since(RUN_LABEL, run, since));
        let ids = told.unwrap_or_default();
        let inmates = Inmates::of(ids.iter().map(String::as_str));
        for id in &ids {
            told_of(inmates.kill(id));
        }
    }

    fn remove(&self, entry: Entry<'_, crate::journal::Removing>, id: &str) -> Result<(), Failure> {
        let inmates = Inmates::of([id]);
        failpoint::reach("run.removing");
        let removal = self.events.block_on(self.engine.remove(id));
        failpoint::reach("run.removed");
        let reason = match removal {
            Ok(Deletion::Done | Deletion::Gone) => {
                told_of(inmates.kill(id));
                entry.gone()?;
                failpoint::reach("run.forgotten");
                return Ok(());
            }
            Ok(Deletion::Refused(reason)) => reason,
            Err(error) => with_cause(&error),
        };
        left(&reason);
        entry.failed(reason);
        Ok(())
    }
}

/// Processes that had outlived their shim were killed.
fn told_of(killed: usize) {
    if killed > 0 {
        anstream::eprintln!(
            "warning: the container's shim was killed: {killed} of its processes ran on, and are ended"
        );
    }
}

/// The container's own end is what counts for the caller; what is left is in the journal.
fn left(reason: &str) {
    anstream::eprintln!("warning: the container could not be removed: {reason}");
    anstream::eprintln!("  help: `ci-build recover` tries again, and so does the next build or run");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_is_arranged_for_clap() {
        let arranged = |line: &str| {
            let words = arrange(line.split_whitespace().map(OsString::from).collect());
            words.join(std::ffi::OsStr::new(" ")).into_string().unwrap()
        };
        assert_eq!(arranged("ci-build run -it --timeout 5m a b"), "ci-build run --timeout 5m -- -it a b");
        assert_eq!(arranged("ci-build run a --help"), "ci-build run -- a --help");
        assert_eq!(arranged("ci-build run --help"), "ci-build run --help --");
        assert_eq!(arranged("ci-build run -- --help"), "ci-build run -- --help");
        assert_eq!(arranged("ci-build lock -- run --timeout x"), "ci-build lock -- run --timeout x");
        assert_eq!(arranged("ci-build run --containerd -it a b"), "ci-build run --containerd -it a b");
        assert_eq!(arranged("ci-build run -e A --containerd a b"), "ci-build run --containerd -e A a b");
        assert_eq!(arranged("ci-build run a --containerd"), "ci-build run -- a --containerd");
        assert_eq!(arranged("ci-build run -- --containerd"), "ci-build run -- --containerd");
    }

    #[test]
    fn our_flags_are_none_of_dockers() {
        let names: Vec<_> = flags_of(NAME).into_iter().map(|flag| flag.name).collect();
        insta::assert_snapshot!(names.join(" "), @"timeout grace no-recover wait store help");
    }
}
