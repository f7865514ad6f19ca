//! A container on a containerd without docker: made for one command, gone with it.
//!
//! - `image`, `archive`, `config`: what it stands on; unpacked if it is not,
//! - `spec`, `user`, `rootfs`: what it is: a specification for the runtime,
//! - `stdio`: our streams and its,
//! - `life`: from the lease to the end,
//! - `remove`: the end of all of it, for recovery too,
//! - `names`: what all of it is called, by the one record.

mod archive;
mod config;
mod error;
mod image;
mod life;
pub(crate) mod names;
pub(crate) mod remove;
mod rootfs;
mod spec;
mod stdio;
mod user;

use std::path::PathBuf;

use crate::engine::containerd::Labels;
use crate::process::{Limits, Stopped};

pub use error::Error;
pub(crate) use life::run;
pub use spec::{Options, Volume};

/// What is to run.
#[derive(Debug, Clone)]
pub struct Asked {
    /// In what.
    pub source: Source,
    /// What makes its snapshots.
    pub snapshotter: String,
    /// What it is called; else by its record.
    pub name: Option<String>,
    /// Its labels beside ours.
    pub labels: Labels,
    /// What it is.
    pub options: Options,
    /// The words behind the image.
    pub words: Vec<String>,
    /// Whether our standard input is its.
    pub is_interactive: bool,
    /// How long it may run, and with whom.
    pub limits: Limits,
}

/// Where an image is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// In containerd, under this name.
    Engine(String),
    /// In an archive; it goes with the container.
    Archive(PathBuf),
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Engine(name) => f.write_str(name),
            Self::Archive(path) => write!(f, "{}", path.display()),
        }
    }
}

/// How a run went.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The container's exit code, 128 + n where signal n ended it; or why it has none.
    pub(crate) code: Result<u8, Error>,
    /// What it was asked to end for, where it was.
    pub(crate) stopped: Option<Stopped>,
    /// Why something of it is left, where something is.
    pub(crate) left: Option<String>,
}
