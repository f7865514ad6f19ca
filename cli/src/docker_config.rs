//! The configuration of docker's own client: where it is, and what is in its files.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::error::{Blame, Explain};

/// The directory that docker's client keeps its configuration in, if this user has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DockerConfig {
    directory: Option<PathBuf>,
}

/// A file of docker's configuration is there, but of no use.
#[derive(Debug, thiserror::Error)]
#[error("cannot read docker's configuration '{}'", path.display())]
pub struct DockerConfigError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub source: std::io::Error,
}

impl Explain for DockerConfigError {
    fn blame(&self) -> Blame {
        Blame::Input
    }
    fn help(&self) -> Vec<String> {
        vec!["DOCKER_CONFIG names the directory of another configuration".into()]
    }
}

impl DockerConfig {
    /// `DOCKER_CONFIG`, else `.docker` in the home directory.
    pub fn of(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let set = |name| variable(name).filter(|value| !value.is_empty());
        let home = || set("HOME").map(|home| Path::new(&home).join(".docker"));
        Self { directory: set("DOCKER_CONFIG").map(PathBuf::from).or_else(home) }
    }

    /// A file, by its path in the directory; none when it is not there.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    pub fn read(&self, file: impl AsRef<Path>) -> Result<Option<Vec<u8>>, DockerConfigError> {
        let Some(path) = self.path(file) else { return Ok(None) };
        match std::fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
            Err(source) => Err(DockerConfigError { path, source }),
        }
    }

    /// Whether there is something at this path in the directory.
    pub fn has(&self, path: impl AsRef<Path>) -> bool {
        self.path(path).is_some_and(|path| path.exists())
    }

    /// A string in a JSON file; none when there is no such file or no such string.
    ///
    /// # Errors
    /// When the file is there and cannot be read, or is not JSON.
    pub fn string(&self, file: impl AsRef<Path>, pointer: &str) -> Result<Option<String>, DockerConfigError> {
        let found = self.value(file, pointer)?;
        Ok(found.as_ref().and_then(serde_json::Value::as_str).map(str::to_owned))
    }

    /// The strings in an array of a JSON file; none when there is no such file or no such array.
    ///
    /// # Errors
    /// As [`DockerConfig::string`].
    pub fn strings(&self, file: impl AsRef<Path>, pointer: &str) -> Result<Vec<String>, DockerConfigError> {
        let found = self.value(file, pointer)?;
        let strings = found.as_ref().and_then(serde_json::Value::as_array).into_iter().flatten();
        Ok(strings.filter_map(|string| string.as_str().map(str::to_owned)).collect())
    }

    fn value(
        &self,
        file: impl AsRef<Path>,
        pointer: &str,
    ) -> Result<Option<serde_json::Value>, DockerConfigError> {
        let (Some(path), Some(bytes)) = (self.path(&file), self.read(&file)?) else { return Ok(None) };
        let mut document: serde_json::Value = serde_json::from_slice(&bytes)
            .map_err(|error| DockerConfigError { path, source: error.into() })?;
        Ok(document.pointer_mut(pointer).map(serde_json::Value::take))
    }

    /// Where a file of the directory is or would be; none where this user has no such directory.
    pub fn path(&self, file: impl AsRef<Path>) -> Option<PathBuf> {
        self.directory.as_ref().map(|directory| directory.join(file))
    }
}
