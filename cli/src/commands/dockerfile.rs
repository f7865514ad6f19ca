//! What `check`, `plan` and `rewrite` share: which files, read for which build.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write as _};

use ci_build_frontend::dockerfile::{self, Options, Platform, Position};
use ci_build_frontend::graph::BuildGraph;
use ci_build_frontend::hazard::Checks;
use ci_build_frontend::plan::Policy;
use ci_build_frontend::report;
use clap::Args;

use super::ShellError;
use crate::error::{Blame, Explain, Failure};

/// The largest file that is read, in bytes.
const LARGEST: u64 = 64 << 20;

/// The file where none is named, as docker has it.
pub(super) const DEFAULT: &str = "Dockerfile";

const STDIN: &str = "-";

/// What is built
#[derive(Debug, Args)]
pub(super) struct BuildArguments {
    /// The stage to build, as for docker build [default: the last one]
    #[arg(long, value_name = "STAGE")]
    target: Option<String>,
    /// The platforms to build for, as linux/amd64,linux/arm64 [default: this machine's]
    #[arg(long, value_name = "PLATFORM", value_delimiter = ',', value_parser = platform)]
    platform: Vec<Platform>,
    /// A build argument; without a value it is taken from the environment
    #[arg(long, value_name = "NAME[=VALUE]")]
    build_arg: Vec<String>,
}

/// Clap shows one line.
fn platform(text: &str) -> Result<Platform, String> {
    text.parse()
        .map_err(|_| "write it as os/architecture or os/architecture/variant, as linux/arm64".to_owned())
}

impl BuildArguments {
    pub(super) fn options(self) -> Options {
        let mut options = Options { target: self.target, ..Options::default() };
        if !self.platform.is_empty() {
            options.platforms = self.platform;
        }
        options.arguments = self.build_arg.into_iter().filter_map(argument).collect::<BTreeMap<_, _>>();
        options
    }
}

/// As docker does it: a name that is not in the environment is as good as not given.
fn argument(given: String) -> Option<(String, String)> {
    match given.split_once('=') {
        Some((name, value)) => Some((name.to_owned(), value.to_owned())),
        None => std::env::var(&given).ok().map(|value| (given, value)),
    }
}

/// A file's text and what it means.
#[derive(Debug)]
pub(super) struct ReadFile {
    pub(super) path: String,
    pub(super) source: String,
    pub(super) graph: BuildGraph,
    pub(super) checks: Checks,
    /// What its comments say of single caches.
    pub(super) policies: BTreeMap<String, Policy>,
}

/// A file that cannot be opened or holds too much.
#[derive(Debug, thiserror::Error)]
enum FileError {
    #[error("cannot read '{path}'")]
    Unreadable { path: String, source: std::io::Error },
    #[error("'{path}' is a directory")]
    Directory { path: String },
    #[error("'{path}' is larger than 64 MiB")]
    TooLarge { path: String },
}

impl Explain for FileError {
    fn blame(&self) -> Blame {
        Blame::Input
    }
    fn help(&self) -> Vec<String> {
        match self {
            Self::Unreadable { path, source } if source.kind() == std::io::ErrorKind::NotFound => {
                let default = "name the Dockerfile, or - for standard input";
                if path == DEFAULT { vec![default.into()] } else { Vec::new() }
            }
            Self::Unreadable { .. } => Vec::new(),
            Self::Directory { path } => {
                let path = path.trim_end_matches('/');
                vec![format!("name the file in it: '{path}/{DEFAULT}'")]
            }
            Self::TooLarge { .. } => vec!["is this a Dockerfile?".into()],
        }
    }
}

/// Reads a file for a build. What is wrong with it is shown, and then there is none.
pub(super) fn read(path: &str, options: &Options) -> Option<ReadFile> {
    let bytes = match bytes(path) {
        Ok(bytes) => bytes,
        Err(error) => {
            Failure::from(error).print();
            return None;
        }
    };
    let show = |place, message: &str, help: Option<&str>| show(path, &bytes, place, message, help);
    let dockerfile = match dockerfile::parse(&bytes) {
        Ok(dockerfile) => dockerfile,
        Err(error) => {
            let place = Position { line: error.line, column: error.column };
            show(place, &error.message, error.help.as_deref());
            return None;
        }
    };
    let graph = match dockerfile::read(path, &dockerfile, options) {
        Ok(graph) => graph,
        Err(error) => {
            show(error.place, &error.message, error.help.as_deref());
            return None;
        }
    };
    match dockerfile::policies(&dockerfile, &graph, &options.arguments) {
        Ok(policies) => {
            let checks = dockerfile::checks(path, &dockerfile, &options.arguments);
            let checks = Checks::from_iter([checks]);
            let source = dockerfile.source.to_owned();
            Some(ReadFile { path: path.to_owned(), source, graph, checks, policies })
        }
        Err(error) => {
            show(Position { line: error.line, column: 1 }, &error.message, Some(&error.help));
            None
        }
    }
}

/// Shows what is wrong with a file, and where.
pub(super) fn show(path: &str, bytes: &[u8], place: Position, message: &str, help: Option<&str>) {
    anstream::eprint!("{}", report::problem(path, bytes, place, message, help));
}

fn bytes(path: &str) -> Result<Vec<u8>, FileError> {
    let unreadable = |source| FileError::Unreadable { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    if path == STDIN {
        std::io::stdin().lock().take(LARGEST + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    } else {
        let file = File::open(path).map_err(unreadable)?;
        if file.metadata().is_ok_and(|found| found.is_dir()) {
            return Err(FileError::Directory { path: path.to_owned() });
        }
        file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    }
    if bytes.len() as u64 > LARGEST {
        return Err(FileError::TooLarge { path: path.to_owned() });
    }
    Ok(bytes)
}

/// Prints a whole answer; colours go only where a person looks.
pub(super) fn print(answer: &str) -> Result<(), Failure> {
    let mut stdout = anstream::AutoStream::auto(std::io::stdout().lock());
    ended(stdout.write_all(answer.as_bytes()).and_then(|()| stdout.flush()))
}

/// Prints a document, every byte of it.
pub(super) fn print_raw(document: &str) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    ended(stdout.write_all(document.as_bytes()).and_then(|()| stdout.flush()))
}

/// A reader that has seen enough, as `head` has, is no failure.
fn ended(written: std::io::Result<()>) -> Result<(), Failure> {
    match written {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(ShellError::Stdout(error).into()),
        _ => Ok(()),
    }
}
