//! `ci-build run`.

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use tokio::runtime::Runtime;
use tracing::field::Empty;

use super::bounds::Bounds;
use super::store::DockerStore;
use super::{event_loop, flags_of, lock, recover, tell_why};
use crate::build::words::OurFlag;
use crate::engine::{Engine, OWNER_LABEL};
use crate::error::{Blame, Explain, Failure, with_cause};
use crate::failpoint;
use crate::journal::{JOB_LABEL, Journal, Owner, RUN_LABEL, Record};
use crate::process::{self, Ended, Vigil};
use crate::recover::Here;
use crate::run::aftermath::{Aftermath, Notice};
use crate::run::words::{self, Asked, part};
use crate::run::{unstarted, volumes};
use crate::store::{Guard as _, HeldLease, Lease, Leases, Process, Quiet, Store, Term, job};

pub(super) mod containerd;

/// As the command line has it.
pub(super) const NAME: &str = "run";

const EXAMPLES: &str = "\
Examples:
  ci-build run debian:12 make test
  ci-build run --timeout 10m -it -v \"$PWD:/src\" -w /src golang:1.25 go test ./...
  ci-build run -d --name db postgres:17

All other arguments are those of `docker run`: ours stand before the image. `ci-build run -- --help` shows docker's help, \
`ci-build run --containerd --help` that of runs on a containerd without docker.

The container and its anonymous volumes go with this command, however it ends. With -d the container goes with the CI job: \
`ci-build recover`, or the next build or run, removes it then.

Exit codes: the container's (125 to 127 as docker has them, 128 + n for signal n), 75 gave up waiting for the \
lock, 2 wrong usage, 125 our own failure";

/// Run a container as docker run does, which leaves nothing however it ends
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, override_usage = "ci-build run [OPTIONS] [DOCKER ARGUMENTS]… IMAGE [COMMAND]…")]
#[command(args_conflicts_with_subcommands = true, disable_help_subcommand = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    other: Option<Other>,
    #[command(flatten)]
    bounds: Bounds,
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
    let Arguments { bounds, words, .. } = arguments;
    // First of all: the later one looks, the likelier is it that nobody is left who wanted the run.
    let limits = bounds.limits();
    let vigil = Vigil::keep(limits.owner, "docker run")?;
    let asked = Asked::read(words);
    let shown = format!("docker run {}", words::shown(words));
    let journal = Journal::open()?;
    let events = event_loop()?;
    let (engine, place) = events.block_on(recover::here())?;
    if !bounds.no_recover {
        let here = Here::Docker { engine: &engine, place: &place };
        events.block_on(recover::first(&journal, here, recover::FIRST));
    }
    failpoint::reach("run.recovered");

    let identity = arguments.store.name().cloned().unwrap_or_else(|| place.store());
    let store = Store::open(identity)?;
    let started = Instant::now();
    let guard =
        store.share(&shown, bounds.patience(), |notice| lock::tell(store.identity(), notice, started))?;
    guard.pass_on()?;
    failpoint::reach("run.locked");
    let leases = store.leases()?;
    let lease = lease(&events, &engine, &asked, &store, &leases, bounds.wait)?;
    failpoint::reach("run.leased");

    let owner = Owner::this().ok_or(Nobody)?;
    let entry = journal.intend(Record::new(place, owner.clone(), &shown))?;
    failpoint::reach("run.intended");
    let ended = super::ended_in(tracing::info_span!("run", exit_code = Empty, outcome = Empty), || {
        let mut command = command(arguments, &asked, &owner, entry.name());
        drop(vigil);
        unstarted::beside(&events, &engine, entry.name(), || process::run_within(&mut command, limits))
    });
    failpoint::reach("run.ended");
    // From here on the container speaks for its image, where there is one.
    drop(lease);
    let settle = |ended, entry| {
        let aftermath = Aftermath { engine: &engine, ended, grace: bounds.grace, tell: &tell };
        events.block_on(aftermath.settle(entry))
    };
    match ended {
        Ok(ended) => {
            tell_why(ended.stopped, bounds.timeout, "the container", "ran for");
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
fn command(arguments: &Arguments, asked: &Asked, owner: &Owner, run: &str) -> std::process::Command {
    let mut command = process::bound("docker".as_ref());
    command.arg("run");
    let job = job::process().map(Owner::of);
    let labels = [(OWNER_LABEL, Some(owner.to_string())), (RUN_LABEL, Some(run.to_owned()))];
    let labels = labels.into_iter().chain([(JOB_LABEL, job.map(|job| job.to_string()))]);
    let mut labels: Vec<_> = labels.filter_map(|(label, value)| Some((label, value?))).collect();
    for (label, value) in &labels {
        command.arg("--label").arg(format!("{label}={value}"));
    }
    if asked.may_be_removed {
        // The engine's own removal runs while docker waits for it, and goes on should all of us be killed.
        command.arg("--rm");
    }
    // The job is handed a container, with its volumes, only when docker has come back while it runs.
    labels.retain(|(label, _)| asked.is_detached || *label != JOB_LABEL);
    command.args(volumes::labelled(&arguments.words, &labels));
    failpoint::reach("run.started");
    command
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
    let _quiet = events.block_on(Quiet::for_addition(leases, wait))?;
    let Ok(Some(id)) = events.block_on(engine.image_id(image)) else { return Ok(None) };
    let lease = Lease::new(store.identity(), image.clone(), id, Term::Owner(us));
    Ok(Some(leases.hold(&lease)?))
}

fn tell(notice: Notice) {
    match notice {
        Notice::NotHandedOver(error) => {
            Failure::from(error).warn("the container cannot be the job's, and ends now");
        }
        Notice::NotEnded(error) => anstream::eprintln!("warning: {}", with_cause(&error)),
        Notice::Survived(count) => anstream::eprintln!(
            "warning: the container's shim was killed: {count} of its processes ran on, and are ended"
        ),
        Notice::Left(reason) => left(&reason),
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
