//! The cgroup above an engine's containers: who is in it is the engine's, whoever its parent is by now.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail};

use super::{
    mount::mounts,
    process::{Identity, end},
};
use crate::poll;

/// Kills everything in the cgroup `name` and beneath it.
///
/// # Errors
/// When a process cannot be killed, or new ones come all the time.
pub(super) fn kill(name: &str) -> Result<()> {
    const PATIENCE: Duration = Duration::from_secs(10);
    let is_empty = poll::until(PATIENCE, || {
        let processes = processes(name)?;
        for process in &processes {
            end(process, Duration::ZERO)?;
        }
        Ok(processes.is_empty().then_some(()))
    })?;
    is_empty.with_context(|| format!("the cgroup {name} does not become empty"))
}

/// Removes the empty cgroup `name` and those beneath it.
///
/// # Errors
/// When there are processes in it.
pub(super) fn remove(name: &str) -> Result<()> {
    for dir in dirs(name)?.iter().rev() {
        match fs::remove_dir(dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            removed => removed.with_context(|| format!("cannot remove the cgroup {}", dir.display()))?,
        }
    }
    Ok(())
}

fn processes(name: &str) -> Result<Vec<Identity>> {
    let mut found = Vec::new();
    for dir in dirs(name)? {
        // A cgroup without its controllers' files, or one that goes away meanwhile, holds nobody.
        let Ok(pids) = fs::read_to_string(dir.join("cgroup.procs")) else { continue };
        for pid in pids.lines().filter_map(|pid| pid.parse().ok()) {
            match Identity::of(pid)? {
                Some(process) if !found.contains(&process) => found.push(process),
                _ => {}
            }
        }
    }
    Ok(found)
}

/// The cgroup in all hierarchies, each one before those beneath it.
fn dirs(name: &str) -> Result<Vec<PathBuf>> {
    if name.is_empty() || name.contains('/') {
        bail!("`{name}` is not the name of a cgroup")
    }
    let mut found = Vec::new();
    for mount in mounts()?.iter().filter(|mount| ["cgroup", "cgroup2"].contains(&mount.file_system.as_str()))
    {
        descend(&mount.point.join(name), &mut found)?;
    }
    Ok(found)
}

fn descend(dir: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.with_context(|| format!("cannot list the cgroup {}", dir.display()))?,
    };
    found.push(dir.to_owned());
    for entry in entries {
        let Ok(entry) = entry else { continue };
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            descend(&entry.path(), found)?;
        }
    }
    Ok(())
}
