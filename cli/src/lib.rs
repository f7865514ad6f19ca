//! `ci-build`, the host command: it keeps builds, pulls, prunes and leftovers of one machine apart.
//!
//! [`commands`] reads what the user asked for and shows the answer; the rooms below it decide and act, and
//! know nothing of the command line:
//!
//! - [`config`]: defaults of flags from files,
//! - [`image`]: the frontend's image out of one binary, as pure bytes,
//! - [`build`]: what `docker buildx build` is asked for, and how that is mended,
//! - [`buildkit`]: which builds run in an engine, and what their steps do,
//! - [`docker_config`]: what docker's own client is configured to,
//! - [`disk`]: how much room there is,
//! - [`doctor`]: what is wrong with a host, one check a file,
//! - [`engine`]: the Docker engine,
//! - [`store`]: the lock of a store of images and caches, and which of them are needed,
//! - [`journal`]: what was made for somebody and has to go with them,
//! - [`run`]: containers that leave nothing,
//! - [`recover`]: what dead owners left goes,
//! - [`failpoint`]: where tests kill us,
//! - [`process`]: commands that are run for somebody,
//! - [`prune`]: which images go, and how they go one by one,
//! - [`sweep`]: caches that stay small, file by file,
//! - [`telemetry`]: logs, spans and figures for those who run hosts,
//! - [`watch`]: when images are used, from the engine's events,
//! - [`registry`]: where images are, got from and sent to,
//! - [`pull`]: getting images into the engine, from wherever they are.

use std::ffi::OsString;
use std::process::ExitCode;

use config::Config;
use error::Failure;
use telemetry::Telemetry;

pub mod build;
pub mod buildkit;
pub mod commands;
pub mod config;
pub mod disk;
pub mod docker_config;
pub mod doctor;
pub mod engine;
pub mod error;
pub mod failpoint;
mod glob;
pub mod image;
pub mod journal;
mod lapse;
mod loopback;
pub mod process;
pub mod prune;
pub mod pull;
pub mod recover;
pub mod registry;
pub mod run;
pub mod store;
pub mod sweep;
mod switch;
pub mod telemetry;
pub mod watch;

/// Runs one command line, its program name first, and gives its exit code: 0 fine, 1 findings, 2 unusable input or usage,
/// 75 gave up waiting for a lock, 125 our own failure, else what the wrapped command ended with.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let words: Vec<_> = args.into_iter().collect();
    if let Some(error) = process::exec_bound(words.get(1..).unwrap_or_default()) {
        return failed(&error.into());
    }
    let command = match Config::of_this_process().and_then(|config| config.apply(commands::command())) {
        Ok(command) => command,
        Err(error) => return failed(&error.into()),
    };
    // What was understood begins with a command's name.
    let name = words.get(1).map(|word| word.to_string_lossy().into_owned()).unwrap_or_default();
    match commands::read(command, words) {
        Ok(arguments) => told(&name, || commands::run(arguments)),
        // Help, the version, or wrong usage: each knows its stream and its exit code.
        Err(answer) => {
            // Nothing is left to do where even this cannot be written.
            let _ = answer.print();
            u8::try_from(answer.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from)
        }
    }
}

/// Runs a command as one span, which logs, collectors and figures are told of.
fn told(name: &str, command: impl FnOnce() -> Result<ExitCode, Failure>) -> ExitCode {
    let telemetry = match Telemetry::start(|name| std::env::var_os(name), store::census) {
        Ok(telemetry) => telemetry,
        Err(error) => return failed(&error.into()),
    };
    let span = tracing::info_span!(
        "command",
        otel.name = format!("ci-build {name}"),
        command = name,
        failed = tracing::field::Empty
    );
    let code = span.in_scope(command).unwrap_or_else(|failure| {
        span.record("failed", failure.blame().word());
        failed(&failure)
    });
    drop(span);
    telemetry.finish();
    code
}

fn failed(failure: &Failure) -> ExitCode {
    failure.print();
    failure.exit_code()
}

/// The pages of `docs/` that are made of the command itself: each its name and its text.
pub fn pages() -> Vec<(&'static str, String)> {
    vec![
        ("configuration.md", config::page(&commands::command())),
        ("doctor.md", doctor::page()),
        ("sweep-presets.md", sweep::presets::page()),
        ("observability.md", telemetry::page()),
    ]
}
