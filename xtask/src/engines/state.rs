//! What is known of one engine that was started: a small file in its directory, written before what it speaks of exists.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use super::{network::Network, place, process::Identity};

const FILE: &str = "state.json";

/// The directory of an engine, and its state file read.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) dir: PathBuf,
    pub(super) state: State,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct State {
    pub(super) kind: String,
    /// The process that the engine must not outlive.
    pub(super) owner: Option<Identity>,
    pub(super) dockerd: Option<Identity>,
    pub(super) network: Network,
    /// Holds the sockets; not in the run's directory when that has too long a path.
    pub(super) sockets: PathBuf,
}

/// How an engine is, seen from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Health {
    Starting,
    Running,
    /// Its dockerd is gone, its owner is not, and will see to it.
    Ended,
    /// Its dockerd, or the owner that it must not outlive, is gone: what is left is to be cleaned up.
    Dead,
}

impl Run {
    /// `None` when there is no state file.
    ///
    /// # Errors
    /// When it cannot be read or understood.
    pub(super) fn load(dir: &Path) -> Result<Option<Run>> {
        let path = dir.join(FILE);
        match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            read => {
                let read = read.with_context(|| format!("cannot read {}", path.display()))?;
                let state = serde_json::from_slice(&read).with_context(|| {
                    format!("cannot understand {}, which another version may have written", path.display())
                })?;
                Ok(Some(Run { dir: dir.to_owned(), state }))
            }
        }
    }

    /// At once and for this user alone, so that a reader sees the state before or the state after.
    pub(super) fn save(&self) -> Result<()> {
        let path = self.dir.join(FILE);
        let mut file = NamedTempFile::new_in(&self.dir).context("cannot create a state file")?;
        file.write_all(&serde_json::to_vec_pretty(&self.state)?).context("cannot write a state file")?;
        file.persist(&path).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(())
    }

    /// What `engines stop` takes: `docker-28.5-Ab3dEf`.
    pub(super) fn name(&self) -> String {
        self.dir.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.state.sockets.join("docker.sock")
    }

    /// dockerd's exec-root, with containerd's sockets.
    pub(super) fn exec_root(&self) -> PathBuf {
        self.state.sockets.join("exec")
    }

    pub(super) fn data_root(&self) -> PathBuf {
        self.dir.join("data")
    }

    /// Above all containers and build steps of the engine; in every hierarchy there is.
    pub(super) fn cgroup(&self) -> String {
        format!("ci-build-{}", self.name())
    }

    pub(super) fn health(&self) -> Result<Health> {
        let Run { state: State { owner, dockerd, .. }, .. } = self;
        let is_running = dockerd.as_ref().map(Identity::is_alive).transpose()?;
        let is_owned = owner.as_ref().map(Identity::is_alive).transpose()?;
        Ok(match (is_owned, is_running) {
            (Some(false), _) | (None, None | Some(false)) => Health::Dead,
            (_, Some(true)) => Health::Running,
            (Some(true), Some(false)) => Health::Ended,
            (Some(true), None) => Health::Starting,
        })
    }
}

/// The directories of all engines that were started and not yet removed.
pub(super) fn run_dirs() -> Result<Vec<PathBuf>> {
    let runs = place::runs_dir()?;
    let entries = fs::read_dir(&runs).and_then(|entries| entries.collect::<io::Result<Vec<_>>>());
    let mut dirs: Vec<_> = entries
        .with_context(|| format!("cannot list {}", runs.display()))?
        .iter()
        .map(fs::DirEntry::path)
        .filter(|path| path.is_dir())
        .collect();
    dirs.sort();
    Ok(dirs)
}
