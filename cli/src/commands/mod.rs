//! The command line, one file a command: each reads its arguments, calls the rooms below, and shows the
//! answer.

use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::build::words::OurFlag;
use crate::error::{Blame, Explain, Failure};
use crate::process::{self, Stopped};

mod bounds;
mod build;
mod check;
mod dockerfile;
mod doctor;
mod duration;
mod format;
mod frontend;
mod lease;
mod lock;
mod mirror;
mod plan;
mod progress;
mod prune;
mod pull;
mod recover;
mod replace;
mod rewrite;
mod run;
mod size;
mod sources;
mod status;
mod store;
mod sweep;
mod watch;

const EXAMPLES: &str = "\
Examples:
  ci-build build -t app .
  ci-build check Dockerfile
  ci-build plan --format svg Dockerfile > plan.svg
  ci-build prune --older-than 72h --disk-high 70 --disk-low 60

Exit codes: 0 fine, 1 findings (check, doctor) or failed deletions (prune, sweep), 2 unusable input or usage, 75 gave up waiting for a lock, \
125 our own failure, else what the wrapped command ended with";

/// Keeps builds, pulls, prunes and leftovers on one Docker host apart
#[derive(Debug, Parser)]
#[command(name = "ci-build", version, disable_help_subcommand = true)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Build(build::Arguments),
    Check(check::Arguments),
    Mirror(mirror::Arguments),
    Doctor(doctor::Arguments),
    Plan(plan::Arguments),
    Pull(Box<pull::Arguments>),
    #[command(subcommand)]
    Frontend(frontend::Command),
    #[command(subcommand)]
    Lease(lease::Command),
    Lock(lock::Arguments),
    Prune(Box<prune::Arguments>),
    Recover(recover::Arguments),
    Rewrite(rewrite::Arguments),
    Run(run::Arguments),
    Status(status::Arguments),
    Sweep(Box<sweep::Arguments>),
    Watch(watch::Arguments),
}

/// The command line, as it is without configuration files.
pub fn command() -> clap::Command {
    Arguments::command()
}

/// Reads a command line, its program name first, by a [`command`] that configuration files may have given other defaults.
///
/// # Errors
/// Help, the version, or wrong usage.
pub fn read(command: clap::Command, words: Vec<OsString>) -> Result<Arguments, clap::Error> {
    Arguments::from_arg_matches(&command.try_get_matches_from(run::arrange(build::arrange(words)))?)
}

/// Runs one command and gives its exit code.
///
/// # Errors
/// What the user is to read, with the exit code.
pub fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    match arguments.command {
        Command::Build(arguments) => build::run(&arguments),
        Command::Check(arguments) => check::run(arguments),
        Command::Doctor(arguments) => doctor::run(&arguments),
        Command::Plan(arguments) => plan::run(arguments),
        Command::Mirror(arguments) => mirror::run(&arguments).map(|()| ExitCode::SUCCESS),
        Command::Pull(arguments) => pull::run(&arguments).map(|()| ExitCode::SUCCESS),
        Command::Frontend(command) => frontend::run(command).map(|()| ExitCode::SUCCESS),
        Command::Lease(command) => lease::run(command).map(|()| ExitCode::SUCCESS),
        Command::Lock(arguments) => lock::run(&arguments),
        Command::Prune(arguments) => prune::run(&arguments),
        Command::Recover(arguments) => recover::run(&arguments),
        Command::Rewrite(arguments) => rewrite::run(arguments),
        Command::Run(arguments) => run::run(&arguments),
        Command::Status(arguments) => status::run(&arguments).map(|()| ExitCode::SUCCESS),
        Command::Sweep(arguments) => sweep::run(&arguments),
        Command::Watch(arguments) => watch::run(&arguments),
    }
}

/// A shell around an async room could not do its part.
#[derive(Debug, thiserror::Error)]
enum ShellError {
    #[error("cannot start the event loop")]
    Runtime(#[source] std::io::Error),
    #[error("cannot write to standard output")]
    Stdout(#[source] std::io::Error),
}

impl Explain for ShellError {
    fn blame(&self) -> Blame {
        Blame::Surroundings
    }
}

/// Runs async work to its end on this thread.
fn block_on<T>(work: impl Future<Output = T>) -> Result<T, Failure> {
    Ok(event_loop()?.block_on(work))
}

/// Runs a command of somebody else's in a span, which is told how it ended.
fn ended_in(
    span: tracing::Span,
    command: impl FnOnce() -> Result<process::Ended, process::Error>,
) -> Result<process::Ended, process::Error> {
    let ended = span.in_scope(command);
    match &ended {
        Ok(ended) => span.record("exit_code", ended.code).record("outcome", ended.word()),
        Err(error) if error.has_started() => span.record("outcome", "lost"),
        Err(_) => span.record("outcome", "not-started"),
    };
    ended
}

/// What runs async work on this thread, piece by piece, with one connection.
fn event_loop() -> Result<tokio::runtime::Runtime, Failure> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(ShellError::Runtime)?)
}

/// The flags of a command of ours, which another program's arguments stand between.
fn flags_of(name: &str) -> Vec<OurFlag> {
    let command = Arguments::command();
    let of = |argument: &clap::Arg| {
        let name = argument.get_long()?.to_owned();
        Some(OurFlag { name, has_value: argument.get_action().takes_values() })
    };
    let ours =
        command.find_subcommand(name).into_iter().flat_map(clap::Command::get_arguments).filter_map(of);
    ours.chain([OurFlag { name: "help".into(), has_value: false }]).collect()
}

/// Runs async work to its end on all cores.
fn block_on_all<T>(work: impl Future<Output = T>) -> Result<T, Failure> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(ShellError::Runtime)?;
    Ok(runtime.block_on(work))
}

/// A document for scripts, its schema first, which a map of serde_json would not keep.
fn document(fields: Vec<(&str, serde_json::Value)>) -> String {
    let fields = fields.into_iter().map(|(name, value)| format!(",\"{name}\":{value}"));
    format!("{{\"schema\":1{}}}", fields.collect::<String>())
}

/// Why a program was ended before its time, which it is not told itself.
fn tell_why(stopped: Option<Stopped>, timeout: Option<Duration>, what: &str, took: &str) {
    match stopped {
        Some(Stopped::Timeout) => {
            let limit = crate::lapse::shown(timeout.unwrap_or_default());
            anstream::eprintln!("ended {what}: it {took} longer than {limit} (--timeout)");
        }
        Some(Stopped::Ownerless) => anstream::eprintln!("ended {what}: the job that wanted it has ended"),
        Some(Stopped::Unread) => anstream::eprintln!("ended {what}: what it writes is read no more"),
        Some(Stopped::Signal(_)) | None => {}
    }
}

/// Prints the one line that a script reads.
fn print_line(line: impl std::fmt::Display) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{line}").and_then(|()| stdout.flush()).map_err(ShellError::Stdout)?;
    Ok(())
}
