//! What the commands that read Dockerfiles have in common.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;

use ci_build_frontend::dockerfile::{Options, Platform, SyntaxError};

use crate::error::{Blame, Explain};

/// What would be built, in the words of `docker build`
#[derive(Debug, clap::Args)]
pub(super) struct BuildOptions {
    /// Stage to build, instead of the last one
    #[arg(long, value_name = "STAGE")]
    target: Option<String>,
    /// Platforms to build for: linux/amd64,linux/arm64
    #[arg(long, value_name = "PLATFORM", value_delimiter = ',', value_parser = platform)]
    platform: Vec<Platform>,
    /// Build arguments
    #[arg(long = "build-arg", value_name = "NAME=VALUE")]
    build_arg: Vec<String>,
}

impl BuildOptions {
    /// As the reader takes them. An argument without a value has that of the environment, as in `docker build`.
    pub(super) fn options(self) -> Options {
        let mut options = Options { target: self.target, ..Options::default() };
        if !self.platform.is_empty() {
            options.platforms = self.platform;
        }
        let value = |argument: String| match argument.split_once('=') {
            Some((name, value)) => Some((name.to_owned(), value.to_owned())),
            None => Some((argument.clone(), std::env::var(&argument).ok()?)),
        };
        options.arguments = self.build_arg.into_iter().filter_map(value).collect::<BTreeMap<_, _>>();
        options
    }
}

fn platform(text: &str) -> Result<Platform, String> {
    text.parse().map_err(|_| "write it as os/architecture, as linux/arm64".to_owned())
}

/// The most that a Dockerfile may have, in bytes.
const LIMIT: u64 = 64 << 20;

/// A Dockerfile that is no use.
#[derive(Debug, thiserror::Error)]
pub(super) enum FileError {
    #[error("cannot read {file}")]
    Read { file: String, source: std::io::Error },
    #[error("{file} has more than {} MiB", LIMIT >> 20)]
    TooLong { file: String },
    #[error("{file}:{error}")]
    Syntax { file: String, error: SyntaxError },
    #[error("{file}:{line}: {message}")]
    Build { file: String, line: u32, message: String, help: Option<String> },
}

impl Explain for FileError {
    fn blame(&self) -> Blame {
        Blame::Input
    }

    fn help(&self) -> Vec<String> {
        match self {
            Self::Read { .. } => vec!["name a Dockerfile, or - for standard input".to_owned()],
            Self::TooLong { .. } => vec!["is this a Dockerfile?".to_owned()],
            Self::Syntax { error, .. } => error.help.iter().cloned().collect(),
            Self::Build { help, .. } => help.iter().cloned().collect(),
        }
    }
}

/// Reads a file, or standard input for `-`. With it comes what the file is called in messages.
pub(super) fn read_file(path: &Path) -> Result<(String, Vec<u8>), FileError> {
    let is_stdin = path == Path::new("-");
    let file = if is_stdin { "<stdin>".to_owned() } else { path.display().to_string() };
    let mut bytes = Vec::new();
    let read = match is_stdin {
        true => std::io::stdin().lock().take(LIMIT + 1).read_to_end(&mut bytes),
        false => std::fs::File::open(path).and_then(|opened| opened.take(LIMIT + 1).read_to_end(&mut bytes)),
    };
    match read {
        Err(source) => Err(FileError::Read { file, source }),
        Ok(length) if length as u64 > LIMIT => Err(FileError::TooLong { file }),
        Ok(_) => Ok((file, bytes)),
    }
}
