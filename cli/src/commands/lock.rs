//! `ci-build lock`.

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;

use super::duration;
use super::store::StoreArgument;
use crate::error::Failure;
use crate::lapse;
use crate::process;
use crate::store::{Guard, Identity, Notice, Patience};

const EXAMPLES: &str = "\
Examples:
  ci-build lock --shared -- docker pull debian:12
  ci-build lock --exclusive --wait 2h --polite 30m -- docker system prune -af
  ci-build lock --store nightly --wait 0 -- make publish
  ci-build lock --shared --containerd --namespace k8s.io -- ctr -n k8s.io images pull IMAGE

One lock for each engine, whatever the way to its socket, or for each name that --store gives. \
Inside a command that has the lock, the same lock is had already.
An exclusive lock inside a shared one is an error.

Exit codes: what the command ends with (128 + n for signal n, 126 and 127 where it does not start), \
75 gave up waiting, 2 wrong usage, 125 our own failure";

/// Run a command while the engine is locked, shared with others or alone
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Share the lock: builds, pulls, runs
    #[arg(long, conflicts_with = "exclusive")]
    shared: bool,
    /// Have the lock alone: what needs quiet. The default
    #[arg(long)]
    exclusive: bool,
    #[command(flatten)]
    store: StoreArgument,
    /// How long to wait for the lock; 0 is not at all
    #[arg(long, value_name = "TIME", env = "CI_BUILD_WAIT", default_value = "1h", value_parser = duration::parse)]
    wait: Duration,
    /// How long, of that, to wait for a quiet moment before those who come later are made to wait
    #[arg(long, value_name = "TIME", env = "CI_BUILD_POLITE", default_value = "0", value_parser = duration::parse)]
    #[arg(conflicts_with = "shared")]
    polite: Duration,
    /// The command and its arguments
    #[arg(value_name = "COMMAND", required = true, last = true)]
    command: Vec<OsString>,
}

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let Arguments { shared, wait, polite, command, .. } = arguments;
    let store = arguments.store.open()?;
    let words: Vec<_> = command.iter().map(|word| word.to_string_lossy()).collect();
    let (words, patience) = (words.join(" "), Patience { wait: *wait, polite: *polite });
    let started = Instant::now();
    let tell = |notice: Notice| tell(store.identity(), notice, started);
    if *shared {
        under(&store.share(&words, patience, tell)?, command)
    } else {
        under(&store.exclude(&words, patience, tell)?, command)
    }
}

/// Runs the command while the guard is there.
fn under(guard: &impl Guard, command: &[OsString]) -> Result<ExitCode, Failure> {
    guard.pass_on()?;
    match command {
        [program, arguments @ ..] => Ok(ExitCode::from(process::run(program, arguments)?)),
        [] => Ok(ExitCode::SUCCESS),
    }
}

pub(super) fn tell(store: &Identity, notice: Notice, started: Instant) {
    match notice {
        Notice::Waits(holders) => anstream::eprintln!("waiting for the store '{store}': {holders}"),
        Notice::Has => {
            anstream::eprintln!("got the store '{store}' after {}", lapse::shown(started.elapsed()));
        }
        Notice::Unrecorded => {
            anstream::eprintln!("warning: the disk is full, so nobody can see who holds the store '{store}'");
        }
    }
}
