//! `ci-build rewrite`.

use std::io::Write as _;
use std::path::PathBuf;

use ci_build_frontend::dockerfile::{self, RewriteError};
use ci_build_frontend::plan::Policy;

use super::ShellError;
use super::dockerfile::{BuildOptions, FileError, read_file};
use crate::error::{Blame, Explain, Failure};

const EXAMPLES: &str = "\
Examples:
  ci-build rewrite Dockerfile > Dockerfile.safe
  ci-build rewrite --policy order --target app -o Dockerfile.safe Dockerfile
  ci-build rewrite - < Dockerfile | docker build -f - .

What was changed is told on standard error, a line a change.
Exit codes: 0 fine, 2 unusable input or usage, 125 our own failure";

/// Mend the hazards of a Dockerfile in its text, for builders without the frontend
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    #[command(flatten)]
    build: BuildOptions,
    /// How hazards are mended: auto, lock, order, namespace, off
    #[arg(long, default_value_t, value_parser = policy)]
    policy: Policy,
    /// Where the text goes, instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The Dockerfile; - is standard input
    file: PathBuf,
}

fn policy(name: &str) -> Result<Policy, String> {
    let names = Policy::ALL.map(Policy::name).join(", ");
    name.parse().map_err(|_| format!("the policies are {names}"))
}

/// The text cannot be put where it was asked for.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {}", file.display())]
struct OutputError {
    file: PathBuf,
    source: std::io::Error,
}

impl Explain for OutputError {
    fn blame(&self) -> Blame {
        Blame::Surroundings
    }
}

/// Writes the new text, and what is new in it.
pub(super) fn run(arguments: Arguments) -> Result<(), Failure> {
    let (file, source) = read_file(&arguments.file)?;
    let rewritten = dockerfile::rewrite(&source, &arguments.build.options(), arguments.policy);
    let rewritten = rewritten.map_err(|error| in_file(&file, error))?;
    match arguments.output {
        Some(path) => {
            std::fs::write(&path, &rewritten.text).map_err(|source| OutputError { file: path, source })?
        }
        None => {
            let mut stdout = std::io::stdout().lock();
            let written = stdout.write_all(rewritten.text.as_bytes()).and_then(|()| stdout.flush());
            written.map_err(ShellError::Stdout)?;
        }
    }
    for edit in rewritten.edits {
        anstream::eprintln!("{file}:{}: {}: {}", edit.line, edit.cache, edit.what);
    }
    Ok(())
}

fn in_file(file: &str, error: RewriteError) -> FileError {
    let file = file.to_owned();
    match error {
        RewriteError::Syntax(error) => FileError::Syntax { file, error },
        RewriteError::Build(error) => {
            FileError::Build { file, line: error.place.line, message: error.message, help: error.help }
        }
        RewriteError::Write(error) => {
            FileError::Build { file, line: error.line, message: error.message, help: Some(error.help) }
        }
    }
}
