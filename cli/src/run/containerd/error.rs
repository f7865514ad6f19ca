//! Why a container could not be run.

use std::path::PathBuf;

use crate::engine::containerd;
use crate::error::{Blame, Explain};

/// Why a container could not be run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// containerd does not do its part.
    #[error(transparent)]
    Engine(#[from] containerd::Error),
    /// The namespace has no image of this name.
    #[error("containerd has no image '{0}' in this namespace")]
    NoImage(String),
    /// The image is for other platforms.
    #[error("'{image}' is not for {platform}")]
    Platform {
        /// The image as it was called.
        image: String,
        /// Where it is to run.
        platform: String,
    },
    /// What the image says of itself makes no sense.
    #[error("'{image}' is malformed: {why}")]
    Malformed {
        /// The image as it was called.
        image: String,
        /// What is wrong.
        why: String,
    },
    /// A file cannot be used as an image's archive.
    #[error("cannot read the image in {}", path.display())]
    Archive {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// Neither the image nor the caller says what is to run.
    #[error("'{0}' does not say what to run in it")]
    NoCommand(String),
    /// The user cannot be told.
    #[error("cannot tell who '{user}' is in the image: {why}")]
    User {
        /// As it was asked for.
        user: String,
        /// Why not.
        why: String,
    },
    /// A container of this name is there.
    #[error("containerd has a container '{0}' already")]
    Taken(String),
    /// The program does not start.
    #[error("the container does not start: {0}")]
    Start(String),
    /// Standard input is to be a terminal, and is none.
    #[error("standard input is no terminal")]
    NoTerminal,
    /// The operating system refuses something.
    #[error("cannot {task}")]
    System {
        /// What was tried.
        task: &'static str,
        /// Why not.
        source: std::io::Error,
    },
}

impl Error {
    /// For `map_err`: the operating system refuses this.
    pub(super) fn system(task: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::System { task, source }
    }
}

/// What a runtime says of a program that is not there, and of one that does not start (`exec` of Go and runc's own words).
const MISSING: [&str; 2] = ["executable file not found", "no such file or directory"];
const UNUSABLE: [&str; 3] = ["permission denied", "is a directory", "exec format error"];

impl Explain for Error {
    fn blame(&self) -> Blame {
        let says = |message: &str, words: &[&str]| words.iter().any(|word| message.contains(word));
        match self {
            Self::Engine(error) => error.blame(),
            Self::Start(message) if says(message, &MISSING) => Blame::NoCommand,
            Self::Start(message) if says(message, &UNUSABLE) => Blame::Command,
            Self::Start(_) | Self::System { .. } => Blame::Surroundings,
            _ => Blame::Input,
        }
    }

    fn help(&self) -> Vec<String> {
        match self {
            Self::Engine(error) => error.help(),
            Self::NoImage(image) => vec![
                format!("`ctr --namespace NAME images pull {image}` gets it"),
                "`ctr images list --quiet` shows what there is; --archive runs an image from a file".into(),
            ],
            Self::Archive { .. } => vec![
                "it takes an OCI image layout as a tar: `docker save` of Docker 25 or later, \
                 `docker buildx build --output type=oci,dest=FILE`, `skopeo copy … oci-archive:FILE`"
                    .into(),
            ],
            Self::NoCommand(_) => vec!["name a command behind the image".into()],
            Self::User { .. } => vec!["give numbers: --user 1000:1000".into()],
            Self::Taken(_) => vec!["choose another --name".into()],
            Self::NoTerminal => vec!["leave out --tty".into()],
            _ => Vec::new(),
        }
    }
}
