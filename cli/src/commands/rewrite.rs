//! `ci-build rewrite`.

use std::path::PathBuf;
use std::process::ExitCode;

use ci_build_frontend::dockerfile::{self, Position, RewriteError};
use ci_build_frontend::plan::{Policy, Scope, Settings};
use clap::Args;

use super::dockerfile::BuildArguments;
use super::replace;
use crate::error::Failure;

const EXAMPLES: &str = "\
Examples:
  ci-build rewrite Dockerfile > Dockerfile.safe
  ci-build rewrite --policy order --target app -o Dockerfile.safe Dockerfile
  ci-build rewrite -o Dockerfile
  ci-build rewrite - < Dockerfile | docker build -f - .

What was changed is told on standard error, a line a change.
Exit codes: 0 fine, 2 unusable input or usage, 125 our own failure";

/// Mend the hazards of a Dockerfile in its text, for builders without the frontend
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    #[command(flatten)]
    build: BuildArguments,
    /// How hazards are mended
    #[arg(long, env = "CI_BUILD_POLICY", default_value = "auto", value_parser = super::plan::policies())]
    policy: Policy,
    /// Against whom caches are kept apart: the steps of this build, or other builds of the host too
    #[arg(long, env = "CI_BUILD_SCOPE", default_value = "build", value_parser = super::plan::scopes())]
    scope: Scope,
    /// Where the text goes, instead of standard output; it may be the file that is read
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The Dockerfile; - is standard input
    #[arg(value_name = "FILE", default_value = super::dockerfile::DEFAULT)]
    file: String,
}

/// Writes the new text, and what is new in it.
pub(super) fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let options = arguments.build.options();
    let Some(file) = super::dockerfile::read(&arguments.file, &options) else { return Ok(ExitCode::from(2)) };
    let path = &file.path;
    let settings = Settings { policy: arguments.policy, scope: arguments.scope, ..Settings::default() };
    let rewritten = match dockerfile::rewrite(file.source.as_bytes(), &options, &settings) {
        Ok(rewritten) => rewritten,
        Err(error) => {
            let (place, message, help) = in_parts(error);
            super::dockerfile::show(path, file.source.as_bytes(), place, &message, help.as_deref());
            return Ok(ExitCode::from(2));
        }
    };
    match arguments.output {
        Some(path) => replace::replace(&path, rewritten.text.as_bytes())?,
        None => super::dockerfile::print_raw(&rewritten.text)?,
    }
    if arguments.policy == Policy::Prime {
        anstream::eprintln!(
            "{path}: a text cannot make mountpoints beforehand: such caches are locked instead"
        );
    }
    for edit in rewritten.edits {
        anstream::eprintln!("{path}:{}: {}: {}", edit.line, edit.cache, edit.what);
    }
    Ok(ExitCode::SUCCESS)
}

/// Where it is, what it is, and what to do.
fn in_parts(error: RewriteError) -> (Position, String, Option<String>) {
    match error {
        RewriteError::Syntax(error) => {
            (Position { line: error.line, column: error.column }, error.message, error.help)
        }
        RewriteError::Build(error) => (error.place, error.message, error.help),
        RewriteError::Comment(error) => {
            (Position { line: error.line, column: 1 }, error.message, Some(error.help))
        }
        RewriteError::Write(error) => {
            (Position { line: error.line, column: 1 }, error.message, Some(error.help))
        }
    }
}
