//! The configuration files: defaults for flags, and the little that is no flag (docs/configuration.md).
//!
//! `ci-build.toml` of the project over `/etc/ci-build.toml`. A table is a command, a key the long name of one of its
//! flags, and the value becomes that flag's default before the command line is parsed. So flags win over the environment,
//! that over the project, and that over the host, and no command knows of any of it.

use std::path::PathBuf;

use serde::de::DeserializeOwned;

mod apply;
mod error;
mod file;
mod page;
mod project;
mod section;

pub use error::Error;
pub use page::page;

/// What is in force on a whole host.
const HOST: &str = "/etc/ci-build.toml";

/// The name of a project's file.
const NAME: &str = "ci-build.toml";

/// The largest file that is read, in bytes. Whoever writes more does not write settings.
const LARGEST: u64 = 1 << 20;

/// Whose word a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// Of whoever administers the host, or of the caller, who named the file.
    Host,
    /// Of whoever wrote the repository that the command happens to run in: only what [`project`] lists.
    Project,
}

/// A file as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
struct File {
    path: PathBuf,
    trust: Trust,
    text: String,
}

/// The files that are in force, the least important first.
#[derive(Debug, Default)]
pub struct Config {
    files: Vec<File>,
}

impl Config {
    /// What this process's directory and environment mean.
    ///
    /// # Errors
    /// When a file is there and cannot be read.
    pub fn of_this_process() -> Result<Self, Error> {
        Ok(Self { files: file::of_this_process()? })
    }

    /// These files, the least important first; one that is not there counts for nothing.
    ///
    /// # Errors
    /// As [`Config::of_this_process`].
    pub fn read(places: &[(PathBuf, Trust)]) -> Result<Self, Error> {
        let read = |(path, trust): &(PathBuf, Trust)| file::read(path, *trust).transpose();
        Ok(Self { files: places.iter().filter_map(read).collect::<Result<_, _>>()? })
    }

    /// The command with the files' values for its flags' defaults.
    ///
    /// # Errors
    /// When a file is not TOML, or says something that no flag is told by: with its line and what exists.
    pub fn apply(&self, command: clap::Command) -> Result<clap::Command, Error> {
        self.files.iter().try_fold(command, |command, file| apply::apply(file, command))
    }

    /// The tables `[[name]]` of the most important file that has some; none where no file has.
    ///
    /// # Errors
    /// When such a table is not what `T` reads.
    pub fn section<T: DeserializeOwned>(&self, name: &str) -> Result<Vec<T>, Error> {
        section::read(&self.files, name)
    }
}

/// [`Config::section`] of [`Config::of_this_process`].
///
/// # Errors
/// As both.
pub fn section<T: DeserializeOwned>(name: &str) -> Result<Vec<T>, Error> {
    Config::of_this_process()?.section(name)
}
